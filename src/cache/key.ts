/** The cache key that names what runs here, mirrored for the Go original. */
export const currentKey = "current";

export const leasePrefix = "dewy-lease/";

/** The cache key of a lease on what is to come under another one. */
export function leaseKeyOf(key: string): string {
  return `${leasePrefix}${key}`;
}

export function isLeaseKey(key: string): boolean {
  return key.startsWith(leasePrefix);
}

/** A cache key as a file name: what can't stand in one is percent-encoded, so that no key leaves its directory. */
export function fileNameOf(key: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must be escaped
  const name = key.replace(/[%/\\\u0000-\u001f\u007f]/g, percent);
  return name.startsWith(".") ? `%2E${name.slice(1)}` : name;
}

/** The reverse of fileNameOf; null for names it never gives, such as those of work in progress. */
export function keyOf(fileName: string): string | null {
  try {
    const key = decodeURIComponent(fileName);
    return fileNameOf(key) === fileName ? key : null;
  } catch {
    return null;
  }
}

function percent(char: string): string {
  return `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;
}
