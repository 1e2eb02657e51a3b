/** A property of what may be an object or not; undefined where there is none. For what others throw or answer. */
export function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}
