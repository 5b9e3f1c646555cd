import { existsSync, readFileSync, statSync } from 'node:fs';
import { join, posix } from 'node:path';
import type { Finding, Repository, Rule, SourceFile } from '../source-file.ts';

/** Every relative link in Markdown leads to a file that is there, and every anchor to a heading. */
export const links: Rule = {
  name: 'links',
  check: (repository) => repository.files.filter(({ path }) => path.endsWith('.md')).flatMap((file) => check(file, repository)),
};

function check(file: SourceFile, repository: Repository): Finding[] {
  return [...withoutCode(file.text).matchAll(/\]\(([^)\s]+)(?:\s+"[^"]*")?\)/g)].flatMap((match) => {
    const message = fault(file, match[1]!, repository.root);
    return message === null ? [] : [{ rule: 'links', path: file.path, line: file.lineOf(match.index), message }];
  });
}

function fault(file: SourceFile, link: string, root: string): string | null {
  if (/^[a-z]+:/.test(link) || link.startsWith('//')) return null;
  const [path, anchor] = link.split('#') as [string, string?];
  const target = path === '' ? file.path : posix.normalize(posix.join(posix.dirname(file.path), decodeURIComponent(path)));
  const absolute = join(root, target);
  if (path !== '' && !existsSync(absolute)) return `${link} leads nowhere`;
  if (anchor === undefined || !target.endsWith('.md') || (path !== '' && statSync(absolute).isDirectory())) return null;
  const text = path === '' ? file.text : readFileSync(absolute, 'utf8');
  return anchorsOf(text).has(anchor.toLowerCase()) ? null : `${link}: ${target} has no heading #${anchor}`;
}

/** As GitHub makes them from headings; explicit `<a id>` counts too. */
export function anchorsOf(markdown: string): Set<string> {
  const out = new Set<string>();
  const seen = new Map<string, number>();
  for (const [, title] of withoutCode(markdown, false).matchAll(/^#{1,6}\s+(.+?)\s*#*$/gm)) {
    const text = title!.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase();
    const slug = text
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replace(/\s/g, '-');
    const count = seen.get(slug) ?? 0;
    seen.set(slug, count + 1);
    out.add(count === 0 ? slug : `${slug}-${count}`);
  }
  for (const [, id] of markdown.matchAll(/<a\s+(?:id|name)="([^"]+)"/g)) out.add(id!.toLowerCase());
  return out;
}

/** Code may hold anything that looks like a link or a heading; blanked, so that line numbers stay. */
function withoutCode(markdown: string, inline = true): string {
  const blank = (text: string): string => text.replace(/[^\n]/g, ' ');
  const fenced = markdown.replace(/^ {0,3}(```|~~~)[\s\S]*?^ {0,3}\1[ \t]*$/gm, blank);
  return inline ? fenced.replace(/`[^`\n]*`/g, blank) : fenced;
}
