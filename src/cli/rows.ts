import { toTerminalText } from './terminal-text.ts';

/** A column of a table for people. */
export interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => string;
}

/** How rows of one kind are written. */
export interface RowFormat<Row> {
  readonly columns: readonly Column<Row>[];
  /** The row with the names of fields that the contract has, for programs. */
  readonly toJson: (row: Row) => object;
}

/** Longer cells are cut: a name has 255 characters. */
const cellLengthMax = 40;
/** Rows that are read and written at once; each page of a table has its own widths. */
const rowsPerPage = 500;

/** A table with a title over each column. */
export function toTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string[] {
  const table = [columns.map(({ title }) => title), ...rows.map((row) => toCells(columns, row))];
  const widths = columns.map((_, index) =>
    Math.max(...table.map((cells) => (cells[index] ?? '').length)),
  );
  return table.map((cells) =>
    cells
      .map((cell, index) => cell.padEnd(widths[index] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

function toCells<Row>(columns: readonly Column<Row>[], row: Row): string[] {
  return columns.map(({ cell }) => {
    const text = toTerminalText(cell(row));
    return text.length > cellLengthMax ? `${text.slice(0, cellLengthMax - 1)}…` : text;
  });
}

/** Writes pages of rows to standard output: as tables on a terminal, as lines of JSON in a pipe. */
export async function printPages<Row>(
  pages: AsyncIterable<readonly Row[]>,
  { columns, toJson }: RowFormat<Row>,
): Promise<void> {
  const { stdout } = process;
  for await (const rows of pages) {
    const lines = stdout.isTTY
      ? toTable(columns, rows)
      : rows.map((row) => JSON.stringify(toJson(row)));
    stdout.write(lines.map((line) => `${line}\n`).join(''));
  }
}

/** Reads page after page, until one is not full. */
export async function* readPages<Row extends { readonly id: string }>(
  read: (afterId: string | undefined, limit: number) => Promise<readonly Row[]>,
): AsyncGenerator<readonly Row[]> {
  let afterId: string | undefined;
  for (;;) {
    const rows = await read(afterId, rowsPerPage);
    if (rows.length > 0) yield rows;
    if (rows.length < rowsPerPage) return;
    afterId = rows.at(-1)?.id;
  }
}

/** A page of these rows alone. */
export async function* onePage<Row>(...rows: readonly Row[]): AsyncGenerator<readonly Row[]> {
  yield rows;
}
