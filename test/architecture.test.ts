import { readdirSync, readFileSync } from 'node:fs';
import { glob } from 'node:fs/promises';
import { dirname, relative, resolve } from 'node:path';
import { expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '..');

/** A room of the house: which files it is, and what none of them may import. */
interface Room {
  readonly name: string;
  readonly files: RegExp;
  readonly except?: RegExp;
  readonly never: readonly RegExp[];
}

const gen = /^gen\//;
const connect = /^@connectrpc\//;
const orm = /^@mikro-orm\/|^kysely|^pg$/;
const database = /^src\/database\//;
const server = /^src\/server\//;
const config = /^src\/config\.ts$/;

/** A folder of `src` is a feature unless it is one of those that serve all of them. */
const serving = ['cli', 'database', 'embedded-postgres', 'metrics', 'server', 'tracing'];
const features = readdirSync(resolve(root, 'src'), { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && !serving.includes(entry.name))
  .map(({ name }) => name);
const feature = `(?:${features.join('|')})`;
const stores = new RegExp(`^src/${feature}/.*(?:-store|-statements)\\.ts$`);
const entities = /\.entity\.ts$/;

const rooms: readonly Room[] = [
  {
    name: 'domain',
    files: new RegExp(`^src/${feature}/`),
    except: /(?:\.rpc|\.feature|\.entity|-store|-statements|index|caller-key)\.ts$/,
    never: [gen, connect, orm, database, server, config],
  },
  {
    name: 'assemblies of features',
    files: /\.feature\.ts$/,
    never: [connect, orm, server, config],
  },
  { name: 'entities', files: entities, never: [gen, connect, server, config, database] },
  { name: 'stores', files: stores, never: [gen, connect, server, config] },
  { name: 'RPCs', files: /\.rpc\.ts$/, never: [orm, config, database, server] },
  { name: 'server', files: server, never: [stores, entities, orm, config] },
  { name: 'database', files: database, never: [gen, connect, server, config] },
  {
    name: 'embedded PostgreSQL',
    files: /^src\/embedded-postgres\//,
    never: [/^src\/(?!embedded-postgres\/)/, gen, connect, /^@mikro-orm\//],
  },
  {
    name: 'tracing',
    files: /^src\/tracing\//,
    never: [gen, connect, orm, database, server, config, new RegExp(`^src/${feature}/`)],
  },
  { name: 'all but tracing', files: /^src\/(?!tracing\/)/, never: [/^@opentelemetry\//] },
  {
    name: 'metrics',
    files: /^src\/metrics\//,
    never: [/^src\/(?!metrics\/|gauge\.ts$|observer\.ts$)/, gen, connect, orm],
  },
  { name: 'SDK', files: /^sdk\/src\//, never: [/^src\//, orm, /^node:/] },
];

interface File {
  readonly path: string;
  readonly text: string;
  /** What it imports: a path of this project, or the name of a package. */
  readonly imports: readonly string[];
}

const files: File[] = [];
for await (const path of glob('{src,sdk/src}/**/*.ts', { cwd: root })) {
  const text = readFileSync(resolve(root, path), 'utf8');
  const specifiers = [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map(
    (match) => match[1] as string,
  );
  const imports = specifiers.map((specifier) =>
    specifier.startsWith('.') ? relative(root, resolve(root, dirname(path), specifier)) : specifier,
  );
  files.push({ path, text, imports });
}

test.each(rooms)(
  '$name imports nothing that it must not know',
  ({ files: mine, except, never }) => {
    const room = files.filter(({ path }) => mine.test(path) && except?.test(path) !== true);
    const forbidden = room.flatMap(({ path, imports }) =>
      imports
        .filter((imported) => never.some((pattern) => pattern.test(imported)))
        .map((imported) => `${path} imports ${imported}`),
    );
    expect(room).not.toEqual([]);
    expect(forbidden).toEqual([]);
  },
);

test('every feature has a door and an assembly, and the features of today are among them', () => {
  const paths = files.map(({ path }) => path);
  const own = (name: string) => [`src/${name}/index.ts`, `src/${name}/${name}.feature.ts`];
  expect(paths).toEqual(expect.arrayContaining(features.flatMap(own)));
  expect(features).toEqual(expect.arrayContaining(['api-keys', 'audit', 'events', 'workspaces']));
});

test('a feature, and the embedded PostgreSQL, are reached through their index only', () => {
  const strays = files.flatMap(({ path, imports }) => {
    const own = /^src\/([^/]+)\//.exec(path)?.[1];
    return imports
      .filter((imported) => new RegExp(`^src/(?:${feature}|embedded-postgres)/`).test(imported))
      .filter((imported) => !imported.startsWith(`src/${own}/`))
      .filter((imported) => !/\/index\.ts$|\.entity\.ts$/.test(imported))
      .map((imported) => `${path} imports ${imported}`);
  });
  expect(strays).toEqual([]);
});

test('only config.ts reads the environment', () => {
  const readers = files.filter(
    ({ path, text }) => path.startsWith('src/') && text.includes('process.env'),
  );
  const allowed = ['src/config.ts', 'src/embedded-postgres/cluster.ts'];
  expect(readers.map(({ path }) => path).filter((path) => !allowed.includes(path))).toEqual([]);
});

test('no import closes a circle', () => {
  const graph = new Map(files.map(({ path, imports }) => [path, imports]));
  const circles: string[] = [];
  const done = new Set<string>();
  const walk = (path: string, trail: string[]) => {
    if (trail.includes(path)) {
      circles.push([...trail.slice(trail.indexOf(path)), path].join(' → '));
      return;
    }
    if (done.has(path)) return;
    for (const imported of graph.get(path) ?? []) walk(imported, [...trail, path]);
    done.add(path);
  };
  for (const path of graph.keys()) walk(path, []);
  expect(circles).toEqual([]);
});
