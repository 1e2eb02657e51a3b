/** Waits until `ready` answers something true; a state that never comes is an error that names it. */
export async function until<T>(
  what: string,
  ready: () => T | undefined | null | false | Promise<T | undefined | null | false>,
  limitMs = 40_000,
): Promise<T> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const value = await ready();
    if (value !== undefined && value !== null && value !== false) return value;
    if (performance.now() > deadline) throw new Error(`waited in vain for: ${what}`);
    await Bun.sleep(10);
  }
}
