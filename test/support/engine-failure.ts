import { DewyError } from "../../src/errors.ts";

/** The DewyError it fails with; an error when it does not, or with another kind. */
export async function failureOf(work: Promise<unknown>): Promise<DewyError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof DewyError) return error;
    throw error;
  }
  throw new Error("it did not fail");
}
