/** A shorter one is found by chance in what is no secret, and would tell of itself where it is left out. */
const leastLength = 6;
/** What stands where a secret was. */
const masked = "…";

/** What a text may be shown as. */
export type Mask = (text: string) => string;

/**
 * Takes secrets out of texts that others wrote. A secret of several lines, as a key is, is looked for line by line: who
 * prints it may indent it or break it off.
 */
export function maskOf(secrets: readonly string[]): Mask {
  const lines = secrets.flatMap((secret) => secret.split(/\r?\n|\\n/)).map((line) => line.trim());
  // Where keys begin and end is known to everybody.
  const hidden = [...new Set(lines)].filter((line) => line.length >= leastLength && !/^-----/.test(line));
  // One may be the beginning of another.
  hidden.sort((one, other) => other.length - one.length);
  return (text) => hidden.reduce((shown, secret) => shown.replaceAll(secret, masked), text);
}
