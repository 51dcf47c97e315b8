import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  createJsonParse,
  type JsonParse,
  mendJsonParse,
  mistakesNames,
} from '../src/json-parse.ts';

/** Of the runtime, also where the global has been mended. */
const native = JSON.parse;
const parse = createJsonParse(native);

/** What V8 then takes for `\`, whenever it is the second name, after h, and begins with an escape. */
const poison = '{"h":[],"\\\\":0}';

/** Members in their order, so that equal means equal names in equal places. */
type Tree = null | boolean | number | string | Tree[] | { members: [string, Tree][] };

/** Each member as it is written, some names with escapes that they do not need. */
const names = fc.oneof(
  fc.constantFrom('h', '"', '\\', '\n', '\u0000', '__proto__', 'constructor', 'toJSON', '7', ''),
  fc.string({ unit: 'binary', maxLength: 4 }),
  fc.string({ unit: fc.constantFrom('"', '\\', '\n', 'h', '\u007f', '\ud800'), maxLength: 3 }),
);

const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom(null, true, false),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => number + 0),
    names,
    fc.array(tie('tree'), { maxLength: 4 }),
    fc
      .uniqueArray(fc.tuple(names, tie('tree')), { maxLength: 5, selector: ([name]) => name })
      .map((members) => ({ members })),
  ),
}));

/** JSON of a tree: each character of a text as it is or as an escape, spaces where they may be. */
function write(value: Tree, dice: () => number): string {
  const space = () => ['', '', '', ' ', '\n\t', '\r'][dice() % 6] as string;
  const comma = () => `${space()},${space()}`;
  if (typeof value === 'string') return writeText(value, dice);
  if (typeof value !== 'object' || value === null) return String(value);
  if (Array.isArray(value)) {
    return `[${space()}${value.map((item) => write(item, dice)).join(comma())}${space()}]`;
  }
  const members = value.members.map(
    ([name, member]) => `${writeText(name, dice)}${space()}:${space()}${write(member, dice)}`,
  );
  return `{${space()}${members.join(comma())}${space()}}`;
}

function writeText(text: string, dice: () => number): string {
  const chars = Array.from({ length: text.length }, (_, place) => {
    const code = text.charCodeAt(place);
    const short = { 8: '\\b', 9: '\\t', 10: '\\n', 12: '\\f', 13: '\\r', 34: '\\"', 92: '\\\\' }[
      code
    ];
    const long = `\\u${code.toString(16).padStart(4, '0')}`;
    if (short !== undefined) return dice() % 2 === 0 ? short : long;
    return code < 0x20 || dice() % 3 === 0 ? long : text.charAt(place);
  });
  return `"${chars.join('')}"`;
}

/** The value of a tree, made without a parser. */
function toValue(tree: Tree): unknown {
  if (typeof tree !== 'object' || tree === null) return tree;
  if (Array.isArray(tree)) return tree.map(toValue);
  return Object.fromEntries(tree.members.map(([name, member]) => [name, toValue(member)]));
}

/** Names and values in their order; toStrictEqual alone would not mind the order. */
function listed(value: unknown): unknown {
  if (Array.isArray(value)) return ['array', ...value.map(listed)];
  if (typeof value !== 'object' || value === null) return value;
  return ['object', ...Object.entries(value).map(([name, member]) => [name, listed(member)])];
}

const dice = fc.infiniteStream(fc.nat()).map((stream) => () => stream.next().value ?? 0);

describe('the mended JSON.parse', () => {
  test('reads a name with an escape as what it says, whatever was read before', () => {
    parse(poison);
    expect(parse('{"h":1,"\\"":2}')).toEqual({ h: 1, '"': 2 });
    expect(parse('{"h":1,"\\u0000":2}')).toEqual({ h: 1, '\0': 2 });
    native(poison);
    expect(parse('{"h":1,"\\n":2}')).toEqual({ h: 1, '\n': 2 });
  });

  test('reads what any tree is written as, with escapes anywhere', () => {
    fc.assert(
      fc.property(tree, dice, (tree, roll) => {
        native(poison);
        const value = parse(write(tree, roll));
        expect(listed(value)).toEqual(listed(toValue(tree)));
      }),
      { numRuns: 2_000 },
    );
  });

  test('takes the last of members with one name, in the place of the first', () => {
    const value = parse('{"\\u0061":1,"b":2,"a":3,"\\u0062":4,"\\n":5,"\\u000a":6}') as object;
    expect(Object.entries(value)).toEqual([
      ['a', 3],
      ['b', 4],
      ['\n', 6],
    ]);
  });

  test('keeps __proto__ as a member, however it is written', () => {
    for (const name of ['__proto__', '\\u005f_proto__']) {
      const value = parse(`{"\\n":0,"${name}":{"a":1},"${name}":{"b":1}}`) as object;
      expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
      expect(Object.entries(value)).toEqual([
        ['\n', 0],
        ['__proto__', { b: 1 }],
      ]);
    }
  });

  test('refuses what JSON.parse refuses, in its words', () => {
    const text = '{"\\n":[1,{"\\"":-0.5e3}],"\\u0041":"x\\"y" , "b":true,"c":null}';
    const edits = fc.record({
      place: fc.nat({ max: text.length }),
      cut: fc.nat({ max: 2 }),
      put: fc.string({ unit: fc.constantFrom(...'{}[]",:\\01-.eE \n'), maxLength: 2 }),
    });
    const errorOf = (read: JsonParse, edited: string) => {
      try {
        read(edited);
        return undefined;
      } catch (error) {
        return String(error);
      }
    };
    fc.assert(
      fc.property(edits, ({ place, cut, put }) => {
        const edited = text.slice(0, place) + put + text.slice(place + cut);
        expect(errorOf(parse, edited)).toBe(errorOf(native, edited));
      }),
      { numRuns: 3_000 },
    );
  });

  test('reads 100,000 levels', () => {
    const levels = 100_000;
    let value = parse('{"\\n":['.repeat(levels / 2) + ']}'.repeat(levels / 2)) as object;
    let depth = 0;
    for (; value !== undefined; depth++) value = Object.values(value)[0] as object;
    expect(depth).toBe(levels);
  });

  test('hands names to a reviver as they are, and leaves out what it leaves out', () => {
    const read = (parser: typeof JSON.parse, text: string) => {
      const seen: unknown[] = [];
      const value = parser(text, function (this: unknown, name, member) {
        seen.push([name, JSON.stringify(member), JSON.stringify(this)]);
        if (name === 'gone') return undefined;
        return typeof member === 'number' ? member + 1 : member;
      });
      return { value, seen };
    };
    const text = (name: string) => `{"a":[1,{"gone":2,"${name}":3},[]],"__proto__":4,"b":"c"}`;
    expect(read(parse, text('\\u0064'))).toEqual(read(native, text('d')));
  });

  test('takes what is no text as JSON.parse does', () => {
    expect(parse(5 as never)).toBe(5);
    expect(() => parse(undefined as never)).toThrow(SyntaxError);
    expect(() => parse(Symbol('x') as never)).toThrow(TypeError);
  });
});

test('a second mending leaves JSON.parse as it is', () => {
  mendJsonParse();
  const mended = JSON.parse;
  mendJsonParse();
  expect(JSON.parse).toBe(mended);
  expect(mistakesNames(mended)).toBe(false);
});

test('this runtime mistakes names; when this fails it no longer does: drop src/json-parse.ts', () => {
  const script = `JSON.parse(${JSON.stringify(poison)});
    console.log(Object.keys(JSON.parse('{"h":1,"\\\\"":2}'))[1]);`;
  expect(execFileSync(process.execPath, ['-e', script], { encoding: 'utf8' })).toBe('\\\n');
});
