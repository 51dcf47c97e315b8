import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { parse } from 'yaml';
import { createEventsClient } from './support/clients.ts';
import { type ReadMetrics, readMetrics } from './support/metrics.ts';
import { startWebhookService, type WebhookService } from './support/webhook-service.ts';

const readDoc = (name: string) => readFile(resolve(import.meta.dirname, '../docs', name), 'utf8');

/** A service that has done a little of everything, so that there is a series of each name. */
let service: WebhookService;
let metrics: ReadMetrics;
beforeAll(async () => {
  service = await startWebhookService({}, undefined, { metrics: { host: '127.0.0.1', port: 0 } });
  const { workspaceId } = service;
  await service.makeEndpoint('/hooks');
  const events = createEventsClient(service);
  await events.createEvent({ workspaceId, type: 'told', payload: {} });
  await expect(events.retrieveEvent({ id: '' })).rejects.toThrow();
  await vi.waitFor(async () => {
    metrics = await readMetrics(service);
    expect(metrics.value('harbor_webhook_requests_total', { outcome: 'succeeded' })).toBe(1);
  }, 20_000);
});
afterAll(() => service.stop());

/** As the page names them: a histogram is one. */
const baseOf = (name: string) => name.replace(/_(?:bucket|sum|count)$/, '');
const namesIn = (text: string) => new Set(text.match(/\b(?:harbor|process|nodejs)_\w+/g));
const exported = () => [...metrics.names].map(baseOf);

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly runbook: string };
}

async function readRules(): Promise<Rule[]> {
  const { groups } = parse(await readDoc('alerts.yaml')) as { groups: { rules: Rule[] }[] };
  return groups.flatMap(({ rules }) => rules);
}

interface Panel {
  readonly title: string;
  readonly type: string;
  readonly targets?: readonly { readonly expr: string }[];
}

async function readPanels(): Promise<Panel[]> {
  const { panels } = JSON.parse(await readDoc('dashboard.json')) as { panels: Panel[] };
  return panels.filter(({ type }) => type !== 'row');
}

/** What an expression asks of names and labels that no process has. */
function strayIn(expr: string): string[] {
  const selectors = expr.matchAll(/\b((?:harbor|process|nodejs)_\w+)(?:\{([^}]*)\})?/g);
  return [...selectors].flatMap(([, name = '', matchers = '']) => {
    const labels = metrics.labelsOf.get(name);
    if (labels === undefined) return [name];
    const asked = [...matchers.matchAll(/(\w+) *(?:=~|!~|!=|=)/g)].map(([, label = '']) => label);
    // Those that Prometheus adds.
    const known = new Set([...labels, 'job', 'instance']);
    return asked.filter((label) => !known.has(label)).map((label) => `${name}{${label}}`);
  });
}

test('the page lists every name that a process exports, and no other', async () => {
  const page = await readDoc('metrics.md');
  const listed = [...page.matchAll(/^\| (`.*?) \|/gm)].flatMap(([, cell = '']) => [
    ...namesIn(cell),
  ]);
  expect([...new Set(listed)].sort()).toEqual([...new Set(exported())].sort());
  expect(new Set(listed).size).toBe(listed.length);
});

test('every name has its help, and a unit or a count where Prometheus wants it', () => {
  const helps = [...metrics.text.matchAll(/^# HELP (\w+) (.+)$/gm)].map(([, name]) => name ?? '');
  expect(helps).toEqual(expect.arrayContaining([...new Set(exported())]));
  const types = [...metrics.text.matchAll(/^# TYPE (harbor_\w+) (\w+)$/gm)];
  for (const [, name = '', type] of types) {
    expect([name, name.endsWith('_total')]).toEqual([name, type === 'counter']);
    expect(name).not.toMatch(/_ms|_millis|_kb|_mb/);
  }
});

test('the dashboard shows nothing that no process exports', async () => {
  const panels = await readPanels();
  expect(panels.length).toBeGreaterThan(20);
  const strays = panels.flatMap(({ title, targets = [] }) =>
    targets.flatMap(({ expr }) => strayIn(expr)).map((stray) => `${title}: ${stray}`),
  );
  expect(strays).toEqual([]);
});

test('the dashboard leaves out nothing of the service itself', async () => {
  const shown = (await readPanels())
    .flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
    .flatMap((expr) => [...namesIn(expr)].map(baseOf));
  const own = exported().filter((name) => name.startsWith('harbor_'));
  const missing = own.filter((name) => !shown.includes(name));
  expect([...new Set(missing)]).toEqual([]);
});

test('alerts ask for nothing that no process exports, and each says what to do', async () => {
  const rules = await readRules();
  expect(rules.length).toBeGreaterThan(10);
  for (const { alert, expr, labels, annotations } of rules) {
    expect([alert, ...strayIn(expr)]).toEqual([alert]);
    expect(labels.severity).toMatch(/^(?:page|ticket)$/);
    expect(annotations.summary).not.toBe('');
    expect([alert, annotations.runbook]).toEqual([alert, expect.stringMatching(/^[\s\S]{80,}\.$/)]);
  }
  expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
});

test('what a runbook names is there: metrics and variables', async () => {
  const text = (await readRules()).map(({ annotations }) => annotations.runbook).join('\n');
  expect([...namesIn(text)].filter((name) => !exported().includes(baseOf(name)))).toEqual([]);
  const page = await readDoc('running-in-production.md');
  const variables = new Set(text.match(/\b(?:HARBOR|METRICS|DATABASE|WEBHOOK)(?:_[A-Z]+)+\b/g));
  // A reason of /readyz is none.
  variables.delete('DATABASE_UNAVAILABLE');
  for (const variable of variables) expect(page).toContain(`| \`${variable}\``);
});
