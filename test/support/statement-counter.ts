import { type PostgresLink, startPostgresLink } from './postgres-link.ts';

/** A TCP proxy before PostgreSQL that counts how often each prepared statement is run. */
export interface StatementCounter extends PostgresLink {
  /** Runs so far of the statement with this name. */
  count(name: string): number;
  /** Runs so far of all of them. */
  total(): number;
}

/** A Bind message: its length, the unnamed portal, the statement's name. */
const bind = /B[\s\S]{4}\0(harbor_\w+)\0/g;

export async function startStatementCounter(databaseUrl: string): Promise<StatementCounter> {
  const counts = new Map<string, number>();
  const link = await startPostgresLink(databaseUrl, (near, far) => {
    near.on('data', (chunk) => {
      for (const [, name = ''] of chunk.toString('latin1').matchAll(bind)) {
        counts.set(name, (counts.get(name) ?? 0) + 1);
      }
    });
    near.pipe(far);
    far.pipe(near);
  });
  return {
    ...link,
    count: (name) => counts.get(name) ?? 0,
    total: () => [...counts.values()].reduce((sum, count) => sum + count, 0),
  };
}
