import { type SpanContext, SpanKind, SpanStatusCode } from '@opentelemetry/api';
import type { QueuedCreate, Watcher, WrittenBatch } from '../observer.ts';
import { readSpanContext, type Spans } from './spans.ts';

/** For how long a create has waited in the queue; to no end yet: it was put back. */
interface Wait {
  readonly fromMs: number;
  readonly toMs: number | undefined;
}

/** What a statement writes of one call: all creates of a batch are one. */
interface WrittenCall {
  readonly context: SpanContext;
  creates: number;
  /** Undefined: this is not the first statement that tries it. */
  wait: { fromMs: number; toMs: number } | undefined;
  /** Undefined: there are several. */
  workspaceId: string | undefined;
}

/**
 * Spans of the append, made when a statement has ended. It is in the trace of the first call that it writes for and linked to
 * all of them; each call has its wait in the queue, which is linked to the statement.
 */
export function createAppendSpans(
  spans: Spans,
): Required<Pick<Watcher, 'batchTaken' | 'batchWritten'>> {
  const waits = new WeakMap<QueuedCreate, Wait>();

  function collect({ rows, error, startedAtMs, durationMs }: WrittenBatch): WrittenCall[] {
    const calls = new Map<string, WrittenCall | undefined>();
    for (const create of rows.flat()) {
      const { traceContext, workspaceId } = create.event;
      if (traceContext === undefined) continue;
      if (!calls.has(traceContext)) calls.set(traceContext, begin(traceContext, workspaceId));
      const call = calls.get(traceContext);
      if (call === undefined) continue;
      call.creates++;
      if (call.workspaceId !== workspaceId) call.workspaceId = undefined;
      const { fromMs, toMs } = waits.get(create) ?? {};
      if (fromMs !== undefined && toMs !== undefined) {
        call.wait ??= { fromMs, toMs };
        call.wait.fromMs = Math.min(call.wait.fromMs, fromMs);
      }
      if (error === undefined) waits.delete(create);
      else waits.set(create, { fromMs: startedAtMs + durationMs, toMs: undefined });
    }
    return [...calls.values()].filter((call) => call !== undefined);
  }

  function begin(traceContext: string, workspaceId: string): WrittenCall | undefined {
    const context = readSpanContext(traceContext);
    if (context === undefined || !spans.isSampled(context)) return undefined;
    return { context: { ...context, isRemote: false }, creates: 0, wait: undefined, workspaceId };
  }

  function tellWait(
    { context, creates, wait, workspaceId }: WrittenCall,
    statement: SpanContext,
  ): void {
    if (wait === undefined) return;
    const span = spans.begin({
      name: 'wait for append',
      kind: SpanKind.INTERNAL,
      startedAtMs: wait.fromMs,
      attributes: () => ({
        'harbor.creates': creates,
        ...(workspaceId !== undefined && { 'harbor.workspace.id': workspaceId }),
      }),
      parent: context,
      links: [statement],
    });
    if (span !== undefined) spans.end(span, wait.toMs);
  }

  return {
    batchTaken(creates, takenAtMs) {
      for (const create of creates) {
        if (create.event.traceContext === undefined) continue;
        const fromMs = waits.get(create)?.fromMs ?? create.askedAtMs;
        waits.set(create, { fromMs, toMs: takenAtMs });
      }
    },

    batchWritten(batch) {
      const calls = collect(batch);
      if (calls.length === 0) return;
      const statement = spans.begin({
        name: 'INSERT events',
        kind: SpanKind.CLIENT,
        startedAtMs: batch.startedAtMs,
        attributes: () => ({
          'db.system.name': 'postgresql',
          'db.operation.name': 'INSERT',
          'db.collection.name': 'events',
          'db.query.summary': 'INSERT events',
          ...(batch.rows.length > 1 && { 'db.operation.batch.size': batch.rows.length }),
        }),
        parent: calls[0]?.context,
        links: calls.map(({ context }) => context),
      });
      if (statement === undefined) return;
      for (const call of calls) tellWait(call, statement.spanContext());
      if (batch.error !== undefined) {
        const { name } = batch.error instanceof Error ? batch.error : { name: '_OTHER' };
        statement.setAttribute('error.type', name).setStatus({ code: SpanStatusCode.ERROR });
      }
      spans.end(statement, batch.startedAtMs + batch.durationMs);
    },
  };
}
