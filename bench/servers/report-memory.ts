import { getHeapSpaceStatistics } from 'node:v8';

/** Tells the parent the port, and from then on, asked, the memory of this process after a full collection. */
export function reportMemory(port: number): void {
  process.on('message', () => {
    for (let n = 0; n < 3; n++) globalThis.gc?.();
    const nursery = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space');
    process.send?.({ ...process.memoryUsage(), nursery: nursery?.physical_space_size ?? 0 });
  });
  process.on('disconnect', () => process.exit(0));
  process.on('SIGINT', () => undefined);
  process.send?.(port);
}
