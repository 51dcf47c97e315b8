import type { Random } from '../log-checker/random.ts';
import { type PostgresLink, startPostgresLink } from '../postgres-link.ts';

/** A hop before PostgreSQL that loses answers, and their connections, of what was carried out. */
export interface LossyLink extends PostgresLink {
  /** Loses none until then. */
  begin(): void;
  /** Loses none until it begins again: a process that starts does not survive it. */
  pause(): void;
  /** Answers that were lost so far. */
  readonly lost: number;
}

/** Of the statements that deliver, and the commits. */
const losses = 1 / 300;
const texts = ['harbor_webhooks_', 'commit', 'COMMIT'];

export async function startLossyLink(databaseUrl: string, random: Random): Promise<LossyLink> {
  let isLosing = false;
  let lost = 0;
  const link = await startPostgresLink(databaseUrl, (near, far) => {
    let isToBeLost = false;
    near.on('data', (chunk) => {
      if (isLosing && texts.some((text) => chunk.includes(text))) isToBeLost ||= random() < losses;
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
      isLosing = true;
    },
    pause() {
      isLosing = false;
    },
    get lost() {
      return lost;
    },
  };
}
