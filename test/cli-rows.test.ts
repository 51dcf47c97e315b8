import { expect, test } from 'vitest';
import { readPages, toTable } from '../src/cli/rows.ts';

const columns = [
  { title: 'ID', cell: ({ id }: { id: string }) => id },
  { title: 'NAME', cell: ({ name }: { name: string }) => name },
];

test('a table on a terminal is in line, and nothing in it can move the cursor or turn the text', () => {
  const rows = [
    { id: 'ws_1', name: 'x\u001b[2Jy\nz\u202e' },
    { id: 'ws_long', name: 'n'.repeat(255) },
  ];
  expect(toTable(columns, rows)).toEqual([
    'ID       NAME',
    'ws_1     x\ufffd[2Jy\ufffdz\ufffd',
    `ws_long  ${'n'.repeat(39)}…`,
  ]);
});

test('pages are read until one is not full, each after the last row of the one before', async () => {
  const ids = Array.from({ length: 1_000 }, (_, n) => ({ id: `ws_${n}` }));
  const asked: (string | undefined)[] = [];
  const pages = readPages(async (afterId, limit) => {
    asked.push(afterId);
    const start = afterId === undefined ? 0 : ids.findIndex(({ id }) => id === afterId) + 1;
    return ids.slice(start, start + limit);
  });
  const read: object[] = [];
  for await (const page of pages) read.push(...page);
  expect(read).toEqual(ids);
  expect(asked).toEqual([undefined, 'ws_499', 'ws_999']);
});
