import type { Measured } from './rounds.ts';

/** A heading, a Markdown table, and what of it the project has an aim for. */
export interface Report {
  readonly title: string;
  readonly table: readonly (readonly string[])[];
  readonly aims: readonly Aim[];
  /** Lines below the table. */
  readonly notes?: readonly string[];
}

export interface Aim {
  readonly what: string;
  readonly measured: string;
  readonly aim: string;
  readonly met: boolean;
}

export function formatReport({ title, table, notes = [] }: Report): string {
  const text = `### ${title}\n\n${formatTable(table)}\n`;
  return notes.length === 0 ? text : `${text}\n${notes.join('\n')}\n`;
}

export function formatAims(aims: readonly Aim[]): string {
  const rows = aims.map(({ what, measured, aim, met }) => [
    what,
    measured,
    aim,
    met ? 'yes' : 'no',
  ]);
  return `### Aims\n\n${formatTable([['', 'measured', 'aim', 'met'], ...rows])}\n`;
}

/** The first row is the head; every column but the first is of numbers. */
function formatTable([head = [], ...rows]: readonly (readonly string[])[]): string {
  const rule = head.map((_, column) => (column === 0 ? '---' : '---:'));
  return [head, rule, ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

export const measuredHead = ['calls a second', 'p50 ms', 'p99 ms', 'server CPU µs a call'];

export function measuredCells(measured: Measured): string[] {
  const { perSecond, p50Ms, p99Ms, serverCpuUs } = measured;
  return [
    formatCount(perSecond),
    p50Ms.toFixed(1),
    p99Ms.toFixed(1),
    serverCpuUs?.toFixed(0) ?? '–',
  ];
}

export function formatCount(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

/** An aim of at least `least`, for the rate of one subject as a ratio of another's. */
export function ratioAim(what: string, ratio: number, least: number): Aim {
  return { what, measured: ratio.toFixed(2), aim: `≥ ${least}`, met: ratio >= least };
}

/** An aim of at most `most`, for the CPU time of one subject as a ratio of another's. */
export function ratioCostAim(what: string, ratio: number, most: number): Aim {
  return { what, measured: ratio.toFixed(2), aim: `≤ ${most}`, met: ratio <= most };
}
