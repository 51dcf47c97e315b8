/**
 * A figure of this process that is read when somebody asks for it, and costs nothing before. A read asks nobody, PostgreSQL
 * included, and takes no more than a millisecond, whatever the process holds.
 */
export interface Gauge {
  /** In the words of Prometheus: `harbor_…`, with its unit last. */
  readonly name: string;
  /** What it is, for whoever reads the text alone. */
  readonly help: string;
  /** What its figures differ by, where there are several; never something that grows with the callers. */
  readonly label?: string;
  /** One figure, or one for each value of the label. */
  read(): number | Readonly<Record<string, number>>;
}
