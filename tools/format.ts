/** `npm run format [-- PATH...]`: formats the code of the repository. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const oxfmt = fileURLToPath(new URL('../node_modules/oxfmt/bin/oxfmt', import.meta.url));
const paths = process.argv.slice(2);
process.exit(spawnSync(process.execPath, [oxfmt, ...(paths.length > 0 ? paths : ['.'])], { stdio: 'inherit' }).status ?? 1);
