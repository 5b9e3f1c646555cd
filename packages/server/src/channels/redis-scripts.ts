import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

export type ScriptName = 'publish' | 'attach' | 'hold' | 'release' | 'history' | 'beat' | 'watch';

export type Script = { readonly name: ScriptName; readonly source: string; readonly sha: string };

const read = (name: string): string => readFileSync(new URL(`./lua/${name}.lua`, import.meta.url), 'utf8');

const common = read('common');

function script(name: ScriptName): Script {
  const source = `${common}\n${read(name)}`;
  return { name, source, sha: createHash('sha1').update(source).digest('hex') };
}

/** One atomic operation each; keys, arguments, reply and guarantee stand at the top of each file in `lua/`. */
export const scripts: Readonly<Record<ScriptName, Script>> = {
  publish: script('publish'),
  attach: script('attach'),
  hold: script('hold'),
  release: script('release'),
  history: script('history'),
  beat: script('beat'),
  watch: script('watch'),
};
