import { ROOT_CONTEXT, SpanKind } from '@opentelemetry/api';
import { type ReadableSpan, TracerProvider } from '@opentelemetry/sdk-trace';
import { expect, test } from 'vitest';
import { createHeldSpans } from '../../src/tracing/held-spans.ts';

/** A collector that never answers, or does so when it is asked to. */
function startLab(heldMax: number) {
  const sent: { readonly spans: ReadableSpan[]; readonly answer: () => void }[] = [];
  let lost = 0;
  const held = createHeldSpans(
    { heldMax, batchMax: 4, delayMs: 1, timeoutMs: 60_000 },
    {
      export: (spans, done) => void sent.push({ spans, answer: () => done({ code: 0 }) }),
      shutdown: async () => undefined,
    },
    {
      note(spans) {
        lost += spans;
      },
    },
  );
  const tracer = new TracerProvider({ spanProcessors: [held] }).getTracer('test');
  return {
    held,
    sent,
    lost: () => lost,
    endSpans(count: number, linkCount = 0) {
      const context = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), traceFlags: 1 };
      const links = Array.from({ length: linkCount }, () => ({ context }));
      for (let ended = 0; ended < count; ended++) {
        tracer.startSpan('span', { kind: SpanKind.INTERNAL, links }, ROOT_CONTEXT).end();
      }
    },
  };
}

test('no more spans are held than there is room for, those on their way among them', async () => {
  const { held, sent, lost, endSpans } = startLab(10);
  endSpans(6);
  await expect.poll(() => sent.length).toBe(1);
  endSpans(100);
  expect([held.count, lost()]).toEqual([10, 96]);
  sent[0]?.answer();
  endSpans(100);
  expect([held.count, lost()]).toEqual([10, 192]);
});

test('a link takes as much room as a span, and a span with more than that goes alone', () => {
  const { held, lost, endSpans } = startLab(10);
  endSpans(3, 4);
  expect([held.count, lost()]).toEqual([2, 1]);
  const alone = startLab(10);
  alone.endSpans(2, 100);
  expect([alone.held.count, alone.lost()]).toEqual([1, 1]);
});
