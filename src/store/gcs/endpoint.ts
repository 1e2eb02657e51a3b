import { DewyError, messageOf } from "../../errors.ts";
import { type GcsOptions, readOrigin } from "./url.ts";

export interface GcsEndpoint {
  /** `https://storage.googleapis.com` */
  readonly origin: string;
  /** Google's credentials are sent to Google's own hosts only, and only encrypted. */
  readonly authenticated: boolean;
}

const google = "https://storage.googleapis.com";

/** `endpoint=` before STORAGE_EMULATOR_HOST (`host:port` or a URL) before Google. */
export function gcsEndpoint(
  { endpoint, anonymous }: GcsOptions,
  env: Readonly<Record<string, string | undefined>>,
): GcsEndpoint {
  const origin = endpoint ?? emulator(env["STORAGE_EMULATOR_HOST"]?.trim() ?? "") ?? google;
  return { origin, authenticated: !anonymous && isGoogle(new URL(origin)) };
}

function emulator(host: string): string | null {
  if (host === "") return null;
  try {
    return readOrigin(host.includes("://") ? host : `http://${host}`);
  } catch (error) {
    throw new DewyError("config-invalid", `STORAGE_EMULATOR_HOST ${messageOf(error)}`, {
      hint: "write for example 127.0.0.1:4443, or unset it to use Google Cloud Storage",
    });
  }
}

/** Private Service Connect's and regional names are below googleapis.com, too. */
function isGoogle({ protocol, hostname, port }: URL): boolean {
  return protocol === "https:" && port === "" && /(^|\.)googleapis\.com$/.test(hostname);
}
