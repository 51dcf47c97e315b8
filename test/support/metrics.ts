import type { TestService } from './test-service.ts';

/** Metrics as they were read: series in the text format of Prometheus. */
export interface ReadMetrics {
  readonly text: string;
  /** Names as dashboards and alerts use them: those of a histogram with their endings. */
  readonly names: ReadonlySet<string>;
  /** The labels that the series of each name have. */
  readonly labelsOf: ReadonlyMap<string, ReadonlySet<string>>;
  /** The sum of the series of a name that have these labels; 0 where there is none. */
  value(name: string, labels?: Readonly<Record<string, string>>): number;
}

export async function readMetrics({ app }: Pick<TestService, 'app'>): Promise<ReadMetrics> {
  if (app.metricsAddress === undefined) throw new Error('the service has no metrics');
  const { host, port } = app.metricsAddress;
  const answer = await fetch(`http://${host}:${port}/metrics`);
  if (answer.status !== 200) throw new Error(`${answer.status}: ${await answer.text()}`);
  return parseMetrics(await answer.text());
}

export function parseMetrics(text: string): ReadMetrics {
  const series = text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [, name = '', labels = '', value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
      return { name, labels, value: Number(value) };
    });
  const labelsOf = new Map<string, Set<string>>();
  for (const { name, labels } of series) {
    const known = labelsOf.get(name) ?? new Set();
    for (const [, label = ''] of labels.matchAll(/(\w+)="/g)) known.add(label);
    labelsOf.set(name, known);
  }
  return {
    text,
    labelsOf,
    names: new Set(series.map(({ name }) => name)),
    value: (name, labels = {}) =>
      series
        .filter((one) => one.name === name)
        .filter((one) =>
          Object.entries(labels).every(([label, is]) => one.labels.includes(`${label}="${is}"`)),
        )
        .reduce((sum, { value }) => sum + value, 0),
  };
}
