import { DewyError } from "../errors.ts";

/** A value is held in memory as a whole. */
export const maxValueBytes = 64 * 1024 * 1024;

/** `bad-answer` for what is too large to be a value. */
export function checkValueSize(key: string, sizeBytes: number): void {
  if (sizeBytes <= maxValueBytes) return;
  const text = `${key} has ${sizeBytes} bytes; a cached value has at most ${maxValueBytes}`;
  throw new DewyError("bad-answer", text, { retryable: false });
}
