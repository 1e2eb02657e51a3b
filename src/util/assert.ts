/** Makes a switch over a union exhaustive: a new member no longer compiles. */
export function unreachable(value: never): never {
  throw new Error(`unexpected value: ${JSON.stringify(value)}`);
}
