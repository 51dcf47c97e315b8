// The way in: node src/harbor.js <command>. Plain JavaScript that imports no TypeScript before it knows that this
// Node can run it: an older one says what to run instead.
import { readFileSync } from 'node:fs';

const { engines } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
const needed = engines.node.replace('>=', '');
const present = process.versions.node;

if (present.localeCompare(needed, 'en', { numeric: true }) >= 0) {
  await import('./cli.ts');
} else {
  process.stderr.write(
    `harbor: this is Node ${present}, and ${needed} or later is needed; "npm ci" brings one: run "npm start", ` +
      '"npm run harbor -- <command>", or "npx node" in place of "node"\n',
  );
  process.exitCode = 1;
}
