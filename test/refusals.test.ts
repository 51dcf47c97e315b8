import { glob } from 'node:fs/promises';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { refusals } from '../src/server/errors/refusals.ts';

const root = resolve(import.meta.dirname, '..');

/** Caught in the feature that throws it: no caller ever sees it. */
const neverLeave = ['AddressNotAllowed', 'AnswerTooLong', 'AppendRowRefused'];

type ErrorClass = new () => Error;

function isErrorClass(value: unknown): value is ErrorClass {
  return typeof value === 'function' && value.prototype instanceof Error;
}

/** The classes of errors that calls can end with: those of the features and of the server's own table. */
async function readErrorClasses(): Promise<ErrorClass[]> {
  const classes = new Set<ErrorClass>();
  const notOfCalls = ['src/cli/**', 'src/database/**', 'src/embedded-postgres/**', 'src/server/**'];
  const ofFeatures = glob('src/*/**/*.ts', { cwd: root, exclude: notOfCalls });
  const ofServer = glob('src/server/errors/*.ts', { cwd: root });
  for await (const path of [...(await all(ofFeatures)), ...(await all(ofServer))]) {
    const exported: object = await import(resolve(root, path));
    for (const value of Object.values(exported)) if (isErrorClass(value)) classes.add(value);
  }
  return [...classes];
}

async function all(paths: AsyncIterable<string>): Promise<string[]> {
  const found: string[] = [];
  for await (const path of paths) found.push(path);
  return found;
}

test('every error of a feature stands in a table of refusals', async () => {
  const refused = new Set<unknown>(refusals.map(({ errorClass }) => errorClass));
  const classes = await readErrorClasses();
  expect(classes.length).toBeGreaterThan(25);
  const missing = classes.filter((one) => !refused.has(one)).map(({ name }) => name);
  expect(missing.sort()).toEqual(neverLeave);
});

test('no error stands in two tables of refusals', () => {
  const names = refusals.map(({ errorClass }) => errorClass);
  expect(names.filter((one, place) => names.indexOf(one) !== place)).toEqual([]);
});
