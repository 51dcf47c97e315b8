/** Tells other processes how far logs have grown: at most one message in flight, the rest coalesced. */
export interface CommitNotices {
  /** Notes that a workspace's log has grown to a sequence. */
  note(workspaceId: string, lastSequence: number): void;
}

/** Between two messages; NOTIFY takes a lock over all commits, so it is not sent for each of them. */
const everyMs = 20;
/** Keeps a message below PostgreSQL's 7,999 bytes: an id has at most 67, a sequence at most 16. */
const workspacesPerMessage = 80;

/** @param send may fail: the poll of the other processes finds what a lost message told. */
export function createCommitNotices(
  send: (text: string) => Promise<void>,
  onError: (error: unknown) => void,
): CommitNotices {
  const unsent = new Map<string, number>();
  let isSending = false;

  async function sendNext(): Promise<void> {
    const notes = [...unsent].slice(0, workspacesPerMessage);
    for (const [id] of notes) unsent.delete(id);
    await send(JSON.stringify(Object.fromEntries(notes))).catch(onError);
    if (unsent.size === 0) isSending = false;
    else setTimeout(sendNext, everyMs);
  }

  return {
    note(workspaceId, lastSequence) {
      unsent.set(workspaceId, Math.max(lastSequence, unsent.get(workspaceId) ?? 0));
      if (isSending) return;
      isSending = true;
      void sendNext();
    },
  };
}

/** The workspaces and sequences of a message; none for a text that is not one. */
export function parseCommitNotice(text: string): [workspaceId: string, lastSequence: number][] {
  try {
    return Object.entries(JSON.parse(text) as Record<string, number>);
  } catch {
    return [];
  }
}
