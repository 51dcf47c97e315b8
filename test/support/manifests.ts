import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseAllDocuments } from 'yaml';

/** What of docs/kubernetes.yaml tests look at. */
export interface Container {
  readonly command: readonly string[];
  readonly env?: readonly { readonly name: string; readonly value: string }[];
  readonly envFrom: readonly { readonly secretRef: { readonly name: string } }[];
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly image: string;
  readonly startupProbe: Probe;
  readonly livenessProbe: Probe;
  readonly readinessProbe: Probe;
  readonly lifecycle: { readonly preStop: { readonly exec: { readonly command: string[] } } };
  readonly securityContext: Record<string, unknown>;
}

export interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
  readonly periodSeconds: number;
  readonly failureThreshold?: number;
}

interface PodTemplate {
  readonly metadata: { readonly labels: Record<string, string> };
  readonly spec: {
    readonly containers: readonly Container[];
    readonly terminationGracePeriodSeconds: number;
    readonly securityContext: Record<string, unknown>;
  };
}

export interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels?: Record<string, string> };
  readonly stringData?: Record<string, string>;
  readonly spec: {
    readonly template: PodTemplate;
    readonly selector: Record<string, unknown>;
    readonly ports: readonly { readonly name: string; readonly targetPort: string }[];
    readonly jobLabel: string;
    readonly endpoints: readonly { readonly port: string; readonly path: string }[];
    readonly strategy: { readonly rollingUpdate: Record<string, number> };
  };
}

/** Every manifest by kind and name, such as `Service harbor`. @throws what the parser has against the file. */
export function readManifests(): Map<string, Manifest> {
  const file = resolve(import.meta.dirname, '../../docs/kubernetes.yaml');
  const documents = parseAllDocuments(readFileSync(file, 'utf8'));
  return new Map(
    documents.map((document) => {
      for (const error of [...document.errors, ...document.warnings]) throw error;
      const manifest = document.toJS() as Manifest;
      return [`${manifest.kind} ${manifest.metadata.name}`, manifest];
    }),
  );
}

export function manifestOf(manifests: Map<string, Manifest>, name: string): Manifest {
  const found = manifests.get(name);
  if (found === undefined) throw new Error(`docs/kubernetes.yaml has no ${name}`);
  return found;
}

/** The one container of a Deployment or a Job. */
export function containerOf({ spec }: Manifest): Container {
  const [container] = spec.template.spec.containers;
  if (container === undefined) throw new Error('a pod without a container');
  return container;
}
