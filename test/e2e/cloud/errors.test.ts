import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { bucketServers } from "../../support/cloud-servers.ts";
import { sharedConsul, startConsul } from "../../support/consul-server.ts";
import { runDewy } from "../../support/dewy.ts";
import { TestHost } from "../../support/host.ts";
import { startMinio } from "../../support/minio.ts";
import { startRedis } from "../../support/redis-server.ts";

const secret = "planted-Secret/1234";

interface Wrong {
  readonly name: string;
  /** What the binary is started with; closed by the test. */
  readonly make: (host: TestHost, open: AsyncDisposableStack) => Promise<Situation>;
  /** In the one line that says it. */
  readonly cause: RegExp;
  readonly remedy: RegExp;
}

interface Situation {
  readonly flags: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

const minioAt = async (open: AsyncDisposableStack, region?: string) => {
  const minio = open.use(await startMinio(region === undefined ? {} : { region }));
  await minio.createBucket("releases");
  return minio;
};

const registries: readonly Wrong[] = [
  {
    name: "S3: a wrong secret",
    async make(_, open) {
      const minio = await minioAt(open);
      const flags = ["--registry", `s3://us-east-1/releases/app?endpoint=${minio.endpoint}`];
      return { flags, env: { ...minio.env, AWS_SECRET_ACCESS_KEY: secret } };
    },
    cause: /SignatureDoesNotMatch|secret|credentials/i,
    remedy: /AWS_SECRET_ACCESS_KEY/,
  },
  {
    name: "S3: an unknown token",
    async make(_, open) {
      const minio = await minioAt(open);
      const flags = ["--registry", `s3://us-east-1/releases/app?endpoint=${minio.endpoint}`];
      return { flags, env: { ...minio.env, AWS_SESSION_TOKEN: secret } };
    },
    cause: /token/i,
    remedy: /AWS_SESSION_TOKEN|token/,
  },
  {
    name: "S3: a missing bucket",
    async make(_, open) {
      const minio = await minioAt(open);
      const flags = ["--registry", `s3://us-east-1/nothing-here/app?endpoint=${minio.endpoint}`];
      return { flags, env: minio.env };
    },
    cause: /nothing-here/,
    remedy: /bucket/,
  },
  {
    name: "S3: a wrong region",
    async make(_, open) {
      const minio = await minioAt(open, "eu-central-1");
      const flags = ["--registry", `s3://us-west-2/releases/app?endpoint=${minio.endpoint}`];
      return { flags, env: minio.env };
    },
    cause: /region/,
    remedy: /eu-central-1/,
  },
  {
    name: "S3: no credentials at all",
    async make() {
      const flags = ["--registry", "s3://us-east-1/releases/app?endpoint=http://127.0.0.1:1"];
      return { flags, env: { HOME: "/nonexistent", AWS_EC2_METADATA_DISABLED: "true" } };
    },
    cause: /credentials/,
    remedy: /AWS_ACCESS_KEY_ID/,
  },
  {
    name: "GCS: a missing bucket",
    async make(_, open) {
      const gcs = open.use(await bucketServers.gs());
      return { flags: ["--registry", "gs://nothing-here/app"], env: { ...gcs.env() } };
    },
    cause: /nothing-here/,
    remedy: /bucket/,
  },
  {
    name: "GCS: a key file that is none",
    async make(host) {
      const file = join(host.scratch, "key.json");
      writeFileSync(file, JSON.stringify({ type: "service_account", private_key: secret }));
      return { flags: ["--registry", "gs://releases/app"], env: { GOOGLE_APPLICATION_CREDENTIALS: file } };
    },
    cause: /key|credentials/i,
    remedy: /GOOGLE_APPLICATION_CREDENTIALS|key/,
  },
];

const caches: readonly Wrong[] = [
  {
    name: "Redis: a wrong password",
    async make(_, open) {
      const redis = open.use(await startRedis({ password: "right" }));
      return { flags: ["--cache", `${redis.url}?registry-ttl=10s`], env: { REDIS_PASSWORD: secret } };
    },
    cause: /password/,
    remedy: /REDIS_PASSWORD|password/,
  },
  {
    name: "Redis: a cluster",
    async make(_, open) {
      const redis = open.use(await startRedis({ cluster: "down" }));
      return { flags: ["--cache", `${redis.url}?registry-ttl=10s`], env: {} };
    },
    cause: /cluster/,
    remedy: /./,
  },
  {
    name: "Consul: a wrong token",
    async make(_, open) {
      const consul = open.use(await startConsul({ acl: true }));
      const flags = ["--cache", `consul://${consul.host}/dewy?registry-ttl=10s`];
      return { flags, env: { CONSUL_HTTP_TOKEN: "planted-Secret-1234" } };
    },
    cause: /token|ACL/,
    remedy: /CONSUL_HTTP_TOKEN|token/,
  },
  {
    name: "Consul: an unknown datacenter",
    async make() {
      const consul = await sharedConsul();
      return { flags: ["--cache", `consul://${consul.host}/dewy?dc=moon&registry-ttl=10s`], env: {} };
    },
    cause: /moon/,
    remedy: /dc=/,
  },
];

describe("what is wrong with a registry is said in one line, with the remedy and without the secret", () => {
  test.each(registries.map((wrong) => [wrong.name, wrong] as const))(
    "%s",
    async (_, wrong) => {
      await using open = new AsyncDisposableStack();
      await using host = new TestHost();
      const { flags, env } = await wrong.make(host, open);
      const run = await runDewy(["assets", "--once", "--root", host.root, ...flags], { env });
      expect(run.code).toBe(2);
      const lines = run.stderr.trim().split("\n");
      expect(lines).toHaveLength(1);
      expect(lines[0]).toMatch(/level=ERROR msg="Dewy run failure" error=/);
      expect(lines[0]).toMatch(wrong.cause);
      expect(/hint=(.*)$/.exec(lines[0] ?? "")?.[1] ?? "").toMatch(wrong.remedy);
      expect(run.stderr).not.toContain(secret);
    },
    180_000,
  );
});

describe("what is wrong with a cache is a warning of one line, and the deploy goes on", () => {
  test.each(caches.map((wrong) => [wrong.name, wrong] as const))(
    "%s",
    async (_, wrong) => {
      await using open = new AsyncDisposableStack();
      await using host = new TestHost();
      host.publish("v1.0.0");
      const { flags, env } = await wrong.make(host, open);
      const run = await runDewy(["assets", "--once", "--log-level", "warn", ...host.flags(), ...flags], {
        env,
      });
      expect([run.code, host.current()]).toEqual([0, "v1.0.0"]);
      const told = run.stderr.split("\n").filter((line) => wrong.cause.test(line));
      expect(told.length).toBeGreaterThan(0);
      expect(told[0]).toMatch(wrong.remedy);
      expect(run.stderr).not.toContain("ERROR");
      expect(run.stderr).not.toMatch(/planted-Secret/);
    },
    180_000,
  );
});
