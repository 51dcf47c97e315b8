import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { languages } from './languages.ts';
import { readSections } from './page.ts';

const root = resolve(import.meta.dirname, '../..');
const sections = readSections(readFileSync(resolve(root, 'docs/generated-clients.md'), 'utf8'));

test('every section of the page on clients is run, and says what it prints', () => {
  expect([...sections.keys()]).toEqual(['', ...languages.map(({ name }) => name)]);
  expect(sections.get('')?.map(({ language }) => language)).toEqual(['text']);
});

test.each(languages)('$name has shell blocks, and files for each of its programs', (language) => {
  const blocks = sections.get(language.name) ?? [];
  expect(blocks.filter(({ language: shell }) => shell === 'sh')).not.toEqual([]);
  const programs = blocks.filter(({ text }) => text.includes('inv_1-paid'));
  expect(programs).toHaveLength(language.programs);
  expect(programs.filter(({ path }) => path === undefined)).toEqual([]);
  // A block that is no file and no command would be run by nobody.
  expect(
    blocks.filter(({ path, language: shell }) => path === undefined && shell !== 'sh'),
  ).toEqual([]);
});

test('the files of the contract that the page names are there', () => {
  const text = [...sections.values()].flat().map((block) => block.text);
  const named = text.flatMap((one) => one.match(/\bharbor\/[\w/]+\.proto\b/g) ?? []);
  expect(named).not.toEqual([]);
  expect(named.filter((path) => !existsSync(resolve(root, 'proto', path)))).toEqual([]);
});
