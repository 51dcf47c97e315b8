import type { Random } from '../log-checker/random.ts';
import { type PostgresLink, startPostgresLink } from '../postgres-link.ts';

/** A hop before PostgreSQL that loses answers, and their connections, of what was carried out. */
export interface LossyLink extends PostgresLink {
  /** Loses none until then. */
  begin(): void;
  /** Answers that were lost so far. */
  readonly lost: number;
}

/** Of the statements that deliver, and the commits. */
const losses = 1 / 300;
const texts = ['harbor_webhooks_', 'commit', 'COMMIT'];

export async function startLossyLink(databaseUrl: string, random: Random): Promise<LossyLink> {
  let hasBegun = false;
  let lost = 0;
  const link = await startPostgresLink(databaseUrl, (near, far) => {
    let isToBeLost = false;
    near.on('data', (chunk) => {
      if (hasBegun && texts.some((text) => chunk.includes(text))) isToBeLost ||= random() < losses;
      far.write(chunk);
    });
    far.on('data', (chunk) => {
      if (!isToBeLost) {
        near.write(chunk);
        return;
      }
      lost++;
      near.destroy();
    });
  });
  return {
    ...link,
    begin() {
      hasBegun = true;
    },
    get lost() {
      return lost;
    },
  };
}
