import type { Statement } from '../../src/database/statements.ts';
import {
  type Direction,
  findTypesStatement,
  listStatement,
  listTypesStatement,
  logEndsStatement,
  placeOfTimeStatement,
  scanStatement,
} from '../../src/events/log/event-log-statements.ts';
import { pageBytesMax } from '../../src/events/log/event-log-store.ts';
import { beganAt, everyMs, rareType, workspaceId } from './fill.ts';

/** A statement and what it is asked. */
export interface Step {
  readonly statement: Statement;
  readonly values: readonly unknown[];
}

/** A page of a list: the statements that it takes beside that for the last sequence. */
export interface Case {
  readonly name: string;
  readonly steps: readonly Step[];
}

const pageSize = 500;
/** As the list asks: one more than it looks up one by one. */
const typesAsked = 33;
const siftedMax = 5_000;
const eventsOfMinute = 60_000 / everyMs;

/** What is asked of a log of `last` events. */
export function casesOf(last: number): Case[] {
  const middle = last / 2;
  const types = (families: readonly string[], count: number) =>
    families.flatMap((family) => Array.from({ length: count }, (_, n) => `${family}.0${n}`));
  return [
    {
      name: 'the last sequence',
      steps: [{ statement: logEndsStatement, values: [[workspaceId]] }],
    },
    { name: 'first page', steps: [list('asc', 0, last)] },
    { name: 'middle page', steps: [list('asc', middle, last)] },
    { name: 'the newest 10, as a feed reads', steps: [list('asc', last - 10, 2 ** 53 - 1)] },
    { name: 'first page, descending', steps: [list('desc', 0, last)] },
    { name: 'middle page, descending', steps: [list('desc', 0, middle)] },
    { name: 'a rare type', steps: [ofTypes('asc', 0, last, [rareType])] },
    { name: 'a rare type, descending', steps: [ofTypes('desc', 0, last, [rareType])] },
    { name: 'a type that is not there', steps: [ofTypes('asc', 0, last, ['none'])] },
    {
      name: 'a frequent prefix, f00.* (10 types), from the middle',
      steps: [find('f00.'), ofTypes('asc', middle, last, types(['f00'], 10))],
    },
    {
      name: '30 types (f00.*, f01.*, f02.*), from the middle',
      steps: [
        find('f00.'),
        find('f01.'),
        find('f02.'),
        ofTypes('asc', middle, last, types(['f00', 'f01', 'f02'], 10)),
      ],
    },
    {
      name: 'more than 32 types, f* (all), from the middle',
      steps: [find('f'), sift('asc', middle, ['f'])],
    },
    {
      name: 'more than 32 types, f1* (one in eight), from the middle',
      steps: [find('f1'), sift('asc', middle, ['f1'])],
    },
    {
      name: 'more than 32 types, f1*, descending',
      steps: [find('f1'), sift('desc', middle, ['f1'])],
    },
    {
      name: 'a minute in the middle',
      steps: [
        place(middle),
        place(middle + eventsOfMinute),
        list('asc', middle, middle + eventsOfMinute),
      ],
    },
    {
      name: 'a rare type in a minute in the middle',
      steps: [
        place(middle),
        place(middle + eventsOfMinute),
        ofTypes('asc', middle, middle + eventsOfMinute, [rareType]),
      ],
    },
  ];
}

function list(direction: Direction, low: number, high: number): Step {
  const values = [workspaceId, low, high, pageSize, pageBytesMax];
  return { statement: listStatement(direction), values };
}

function ofTypes(direction: Direction, low: number, high: number, types: string[]): Step {
  const values = [workspaceId, low, high, pageSize, pageBytesMax, types];
  return { statement: listTypesStatement(direction), values };
}

function sift(direction: Direction, from: number, prefixes: string[]): Step {
  const [low, high] = direction === 'asc' ? [from, from + siftedMax] : [from - siftedMax, from];
  const values = [workspaceId, low, high, pageSize, pageBytesMax, [], prefixes];
  return { statement: scanStatement(direction), values };
}

function find(prefix: string): Step {
  return { statement: findTypesStatement, values: [workspaceId, prefix, typesAsked] };
}

function place(sequence: number): Step {
  const time = new Date(beganAt.getTime() + sequence * everyMs);
  return { statement: placeOfTimeStatement, values: [workspaceId, time, true] };
}
