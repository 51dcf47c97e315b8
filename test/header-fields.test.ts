import { expect, test } from 'vitest';
import { HeaderFields } from '../src/server/wire/header-fields.ts';

const given = { accept: 'a, b', 'content-type': 'c', hidden: 'd' };
const shown = new Set(['accept', 'content-type', 'constructor']);
const fields = () => new HeaderFields(given, shown);
const expected = () => new Headers({ accept: 'a, b', 'content-type': 'c' });

test('fields are read as the platform reads headers, those that are not shown left out', () => {
  for (const name of ['accept', 'Content-Type', 'hidden', 'constructor', 'absent']) {
    expect([fields().get(name), fields().has(name)]).toEqual([
      expected().get(name),
      expected().has(name),
    ]);
  }
  expect([...fields()]).toEqual([...expected()]);
  expect([...fields().keys()]).toEqual([...expected().keys()]);
  expect([...fields().values()]).toEqual([...expected().values()]);
  expect([...new Headers(fields())]).toEqual([...expected()]);
});

test('fields are changed as headers are, and what was given stays as it is', () => {
  const change = (headers: Headers) => {
    headers.set('Accept', 'other');
    headers.append('x-more', '1');
    headers.append('X-More', '2');
    headers.delete('content-type');
    const told: [string, string][] = [];
    headers.forEach((value, name) => {
      told.push([name, value]);
    });
    return [told, headers.get('accept'), headers.has('content-type'), [...headers]];
  };
  expect(change(fields())).toEqual(change(expected()));
  expect(given).toEqual({ accept: 'a, b', 'content-type': 'c', hidden: 'd' });
  expect(() => fields().set('x', 'two\nlines')).toThrow(TypeError);
});

test('a field that came several times is one', () => {
  expect(new HeaderFields({ accept: ['a', 'b'] }).get('accept')).toBe('a, b');
});
