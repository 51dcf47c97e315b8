import type { Socket } from 'node:net';
import { type PostgresLink, startPostgresLink } from './postgres-link.ts';

/** A TCP hop before PostgreSQL on which all can fall silent: bytes stay where they are, and nobody hangs up. */
export interface SilentPostgres extends PostgresLink {
  fallSilent(): void;
  /** What was held back goes on its way. */
  speak(): void;
}

export async function startSilentPostgres(databaseUrl: string): Promise<SilentPostgres> {
  const sockets = new Set<Socket>();
  let isSilent = false;
  const link = await startPostgresLink(databaseUrl, (near, far) => {
    near.pipe(far);
    far.pipe(near);
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
    }
    if (isSilent) hold(near, far);
  });

  function hold(...held: Socket[]): void {
    for (const socket of held) socket.cork();
  }

  return {
    ...link,
    fallSilent() {
      isSilent = true;
      hold(...sockets);
    },
    speak() {
      isSilent = false;
      for (const socket of sockets) socket.uncork();
    },
  };
}
