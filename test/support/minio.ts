import { createHash, createHmac } from "node:crypto";
import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { makeCertificates } from "./engine-certificates.ts";
import { ask, builtServer, lazily, type ServerProcess, startServer } from "./server-process.ts";
import { tempDir } from "./temp-dir.ts";

export interface MinioOptions {
  /** With a certificate for 127.0.0.1 by an authority of its own. */
  readonly tls?: boolean;
  /** A server that was given one refuses requests signed for another. */
  readonly region?: string;
}

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** MinIO, an S3 server, with its content in a temporary directory, where it survives `restart`. */
export interface Minio extends ServerProcess {
  /** `127.0.0.1:<port>` */
  readonly host: string;
  /** `http://127.0.0.1:<port>`, or https; for path-style requests. */
  readonly endpoint: string;
  readonly region: string;
  readonly credentials: S3Credentials;
  /** What the AWS libraries find both by. */
  readonly env: Readonly<Record<string, string>>;
  /** Path of the authority's certificate; null without TLS. */
  readonly ca: string | null;
  createBucket(name: string): Promise<void>;
  /** What everybody may do in the bucket without credentials, such as `s3:GetObject`. */
  allowAnonymous(bucket: string, actions: readonly string[]): Promise<void>;
  /** Short-lived credentials for these actions in this bucket alone; valid for a quarter of an hour. */
  limitedCredentials(bucket: string, actions: readonly string[]): Promise<S3Credentials>;
}

export const minioCredentials: S3Credentials = {
  accessKeyId: "dewy-test-user",
  secretAccessKey: "planted-minio-secret",
};

/** One for all tests of a process: each makes buckets of its own. */
export const sharedMinio = lazily(() => startMinio());

export async function startMinio(options: MinioOptions = {}): Promise<Minio> {
  const program = builtServer("minio");
  const directory = tempDir();
  const { path } = directory;
  const certificates = join(path, "certificates");
  mkdirSync(certificates);
  const ca = options.tls === true ? prepareTls(path, certificates) : null;
  const tls = ca === null ? {} : { tls: { ca: Bun.file(ca) } };
  const origin = (port: number) => `${ca === null ? "http" : "https"}://127.0.0.1:${port}`;
  const { region = "us-east-1" } = options;
  const send = (endpoint: string, request: Request) =>
    ask(`${endpoint}${request.path}`, { ...tls, ...signed(new URL(endpoint).host, region, request) });
  const server = await startServer(directory, {
    name: "minio",
    command: (port) => [
      ...[program, "server", "--quiet", "--certs-dir", certificates],
      ...["--address", `127.0.0.1:${port}`, join(path, "data")],
    ],
    env: environment(options),
    ready: async (port) => (await send(origin(port), { service: "s3", method: "GET", path: "/" })).ok,
  });
  const endpoint = origin(server.port);
  return Object.assign(server, {
    host: `127.0.0.1:${server.port}`,
    endpoint,
    region,
    credentials: minioCredentials,
    env: clientEnvironment(region),
    ca,
    ...requests(async (request) => {
      const response = await send(endpoint, request);
      const body = await response.text();
      if (response.ok) return body;
      throw new Error(`minio: ${request.method} ${request.path}: ${response.status} ${body}`);
    }),
  });
}

function environment({ region }: MinioOptions): Readonly<Record<string, string>> {
  return {
    MINIO_ROOT_USER: minioCredentials.accessKeyId,
    MINIO_ROOT_PASSWORD: minioCredentials.secretAccessKey,
    MINIO_BROWSER: "off", // a second port
    MINIO_UPDATE: "off", // asks the internet
    ...(region === undefined ? {} : { MINIO_SITE_REGION: region }),
  };
}

function clientEnvironment(region: string): Readonly<Record<string, string>> {
  const { accessKeyId, secretAccessKey } = minioCredentials;
  return { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey, AWS_REGION: region };
}

/** Named as MinIO wants them. */
function prepareTls(path: string, certificates: string): string {
  const { server } = makeCertificates(join(path, "authority"));
  copyFileSync(server.cert, join(certificates, "public.crt"));
  copyFileSync(server.key, join(certificates, "private.key"));
  return server.ca;
}

interface Request {
  readonly service: "s3" | "sts";
  readonly method: string;
  /** With the query, if that is a name without a value. */
  readonly path: string;
  readonly body?: string;
}

function requests(send: (request: Request) => Promise<string>) {
  return {
    async createBucket(name: string) {
      await send({ service: "s3", method: "PUT", path: `/${name}` });
    },
    async allowAnonymous(bucket: string, actions: readonly string[]) {
      const body = policy(bucket, actions, { Principal: "*" });
      await send({ service: "s3", method: "PUT", path: `/${bucket}?policy=`, body });
    },
    async limitedCredentials(bucket: string, actions: readonly string[]): Promise<S3Credentials> {
      const form = { Action: "AssumeRole", Version: "2011-06-15", DurationSeconds: "900" };
      const body = `${new URLSearchParams({ ...form, Policy: policy(bucket, actions, {}) })}`;
      const answer = await send({ service: "sts", method: "POST", path: "/", body });
      const field = (name: string) => new RegExp(`<${name}>([^<]*)<`).exec(answer)?.[1] ?? "";
      return {
        accessKeyId: field("AccessKeyId"),
        secretAccessKey: field("SecretAccessKey"),
        sessionToken: field("SessionToken"),
      };
    },
  };
}

function policy(bucket: string, actions: readonly string[], whose: { readonly Principal?: string }): string {
  const Resource = [`arn:aws:s3:::${bucket}`, `arn:aws:s3:::${bucket}/*`];
  const statement = { Effect: "Allow", Action: actions, Resource, ...whose };
  return JSON.stringify({ Version: "2012-10-17", Statement: [statement] });
}

/**
 * AWS Signature Version 4, by hand: what is tested (the AWS library) should not prepare its own test.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
function signed(host: string, region: string, { service, method, path, body = "" }: Request) {
  const date = new Date().toISOString().replace(/[-:]|\.\d+/g, "");
  const [resource = "/", query = ""] = path.split("?");
  const hash = createHash("sha256").update(body).digest("hex");
  const names = "host;x-amz-content-sha256;x-amz-date";
  const headers = `host:${host}\nx-amz-content-sha256:${hash}\nx-amz-date:${date}\n`;
  const canonical = [method, resource, query, headers, names, hash].join("\n");
  const scope = [date.slice(0, 8), region, service, "aws4_request"];
  const digest = createHash("sha256").update(canonical).digest("hex");
  const text = ["AWS4-HMAC-SHA256", date, scope.join("/"), digest].join("\n");
  const hmac = (key: string | Buffer, value: string) => createHmac("sha256", key).update(value).digest();
  const key = scope.reduce<string | Buffer>(hmac, `AWS4${minioCredentials.secretAccessKey}`);
  const credential = `Credential=${minioCredentials.accessKeyId}/${scope.join("/")}`;
  const signature = `Signature=${hmac(key, text).toString("hex")}`;
  return {
    method,
    ...(body === "" ? {} : { body }),
    headers: {
      Authorization: `AWS4-HMAC-SHA256 ${credential}, SignedHeaders=${names}, ${signature}`,
      "X-Amz-Content-Sha256": hash,
      "X-Amz-Date": date,
      "Content-Type": service === "sts" ? "application/x-www-form-urlencoded" : "application/json",
    },
  };
}
