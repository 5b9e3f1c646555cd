import { type ChildProcess, spawn } from 'node:child_process';

/**
 * What outlives this process when it is ended with kill -9: one small shell, which hears of it because its standard input closes, and then
 * ends the process groups and removes the folders that it was told of. A handler in this process could not: SIGKILL runs none. (`kill -KILL -- -N` is a
 * syntax error in dash, where `kill -s KILL -- -N` is none.)
 */
const SCRIPT = `
trap '' INT TERM HUP
IFS='
'
groups= folders=
while read -r line; do
  value=\${line#* }
  case $line in
    'group '*) groups="$groups$value
" ;;
    'gone '*) groups=$(printf %s "$groups" | grep -vx -- "$value")
      groups="$groups\${groups:+
}" ;;
    'folder '*) folders="$folders$value
" ;;
    'removed '*) folders=$(printf %s "$folders" | grep -vxF -- "$value")
      folders="$folders\${folders:+
}" ;;
  esac
done
for group in $groups; do kill -s KILL -- "-$group"; done 2>/dev/null
for folder in $folders; do
  for try in 1 2 3 4 5 6 7 8 9 10; do rm -rf -- "$folder" && break; sleep 0.2; done
done 2>/dev/null
`;

let guardian: ChildProcess | null = null;

/** `group` and `folder` begin to be guarded, `gone` and `removed` end it. */
export function tellGuardian(verb: 'group' | 'gone' | 'folder' | 'removed', value: string | number): void {
  guardian ??= startGuardian();
  guardian.stdin?.write(`${verb} ${value}\n`);
}

/** In a group of its own, so that neither Ctrl-C nor the end of this process's group ends it too. It does not keep this process running. */
function startGuardian(): ChildProcess {
  const shell = spawn('/bin/sh', ['-c', SCRIPT], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  shell.unref();
  // A pipe to a child counts as work to be done, unlike the child itself.
  (shell.stdin as unknown as { unref?(): void }).unref?.();
  shell.stdin.on('error', () => {});
  return shell;
}
