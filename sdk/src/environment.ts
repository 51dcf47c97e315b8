/** HARBOR_BASE_URL, or undefined where there is no environment (browsers) or it is not set. */
export function readBaseUrl(): string | undefined {
  const { process } = globalThis as unknown as {
    process?: { env?: Record<string, string | undefined> };
  };
  return process?.env?.HARBOR_BASE_URL;
}
