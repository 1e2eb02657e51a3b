import { readFileSync } from "node:fs";
import { S3Client, type S3ClientConfig } from "@aws-sdk/client-s3";
import { DewyError, messageOf } from "../../errors.ts";
import type { StoreDeps } from "../store.ts";
import { fetchTransport } from "./transport.ts";
import { readEndpoint, type S3Options } from "./url.ts";

/** The AWS library's client, and the address it asks, as far as it is known: for messages and the governor. */
export function openClient(options: S3Options, deps: StoreDeps): { client: S3Client; endpoint: string } {
  const { region } = options;
  const endpoint = options.endpoint ?? endpointOf(deps.env);
  const client = new S3Client(clientConfig(options, endpoint, deps));
  askForChecksums(client);
  const suffix = region.startsWith("cn-") ? ".cn" : "";
  return { client, endpoint: endpoint ?? `https://s3.${region}.amazonaws.com${suffix}` };
}

/**
 * The service's SHA-256 of a whole object comes only when it is asked for. ChecksumMode would do that, too, but has
 * the library compute every kind of checksum while the body streams, some in slow JavaScript, and of ranges wrongly.
 */
function askForChecksums(client: S3Client): void {
  client.middlewareStack.add(
    (next, { commandName }) =>
      (args) => {
        const headers = headersOf(args);
        if (headers !== null && commandName === "GetObjectCommand")
          headers["x-amz-checksum-mode"] = "ENABLED";
        return next(args);
      },
    { step: "build", name: "dewyChecksumMode" },
  );
}

/** Of the library's HttpRequest, which it types as unknown. */
function headersOf({ request }: { readonly request?: unknown }): Record<string, unknown> | null {
  if (typeof request !== "object" || request === null || !("headers" in request)) return null;
  const { headers } = request;
  // Of its many shapes only this one is ever made.
  return typeof headers === "object" ? (headers as Record<string, unknown> | null) : null;
}

function clientConfig(options: S3Options, endpoint: string | null, deps: StoreDeps): S3ClientConfig {
  const { env, clock } = deps;
  const credentials = staticCredentials(env);
  return {
    region: options.region,
    ...(endpoint === null ? {} : { endpoint }),
    forcePathStyle: options.pathStyle ?? endpoint !== null,
    ...(credentials === null ? {} : { credentials }),
    requestHandler: fetchTransport({ clock, ca: authorities(env) }),
    maxAttempts: attempts(env),
    retryMode: "standard",
    // Every body is signed, which lets any S3 service check it; not all know the newer checksums.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    expectContinueHeader: false,
    // By default it warns on the console about Node.js.
    logger: { trace() {}, debug() {}, info() {}, warn() {}, error() {} },
  };
}

/** The library's own variable, for a service that is often busy. */
function attempts({ AWS_MAX_ATTEMPTS: text = "" }: StoreDeps["env"]): number {
  return /^[1-9]\d?$/.test(text) ? Number(text) : 3;
}

/** The first link of the library's chain; null leaves it to the others: profiles, web identity, task and instance roles. */
function staticCredentials(env: StoreDeps["env"]): NonNullable<S3ClientConfig["credentials"]> | null {
  // Read from a file they often end in a newline, which no header may hold.
  const accessKeyId = env["AWS_ACCESS_KEY_ID"]?.trim();
  const secretAccessKey = env["AWS_SECRET_ACCESS_KEY"]?.trim();
  const sessionToken = env["AWS_SESSION_TOKEN"]?.trim();
  if (!accessKeyId || !secretAccessKey || env["AWS_PROFILE"]) return null;
  return { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) };
}

/** https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html */
function endpointOf(env: StoreDeps["env"]): string | null {
  if (env["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"]?.toLowerCase() === "true") return null;
  for (const name of ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]) {
    const value = env[name];
    if (!value) continue;
    try {
      return readEndpoint(value);
    } catch (error) {
      throw new DewyError("config-invalid", `${name} ${messageOf(error)}`, {
        hint: `correct ${name}, or unset it to use AWS`,
      });
    }
  }
  return null;
}

/** AWS's own tools take AWS_CA_BUNDLE in place of the system's authorities; SSL_CERT_FILE works without our help. */
function authorities(env: StoreDeps["env"]): string | null {
  const path = env["AWS_CA_BUNDLE"];
  if (!path) return null;
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new DewyError("config-invalid", `AWS_CA_BUNDLE cannot be read: ${messageOf(cause)}`, {
      cause,
      hint: "name a readable file of PEM certificates in AWS_CA_BUNDLE, or unset it",
    });
  }
}
