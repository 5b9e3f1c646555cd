// The first step of `npm start` and `npm test`, and the only code of the repository that runs on whatever Node the machine has.
// It makes sure that everything is installed and the pages are built, then hands over to the project's own Node.
//
//   node tools/bootstrap.mjs tools/start.ts [arguments of the program]
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildPages } from './bootstrap/build-pages.mjs';
import { handOver } from './bootstrap/hand-over.mjs';
import { install } from './bootstrap/install.mjs';
import { stop } from './bootstrap/say.mjs';

const root = resolve(fileURLToPath(import.meta.url), '../..');
const NEEDED = { node: 20, npm: 9 };

const [program, ...args] = process.argv.slice(2);
checkVersions();
try {
  await install(root);
  await buildPages(root);
} catch (error) {
  stop(error instanceof Error ? error.message : String(error));
}
process.exit(await handOver(root, program, args));

function checkVersions() {
  const node = Number(process.versions.node.split('.')[0]);
  if (node < NEEDED.node)
    stop(
      `Node ${process.versions.node} is too old: install Node ${NEEDED.node} or newer (the project brings its own newer one for everything else)`,
    );
  const npm = /npm\/(\d+)([.\d]*)/.exec(process.env['npm_config_user_agent'] ?? '');
  if (npm && Number(npm[1]) < NEEDED.npm)
    stop(`npm ${npm[1]}${npm[2]} is too old: run \`npm install -g npm@latest\`, version ${NEEDED.npm} or newer is needed`);
}
