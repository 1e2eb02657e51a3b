import { describe, expect, test } from "bun:test";
import { bucketServers } from "../../support/cloud-servers.ts";
import { demoCommand, TestHost } from "../../support/host.ts";
import { until } from "../../support/until.ts";

const artifact = "app_linux_amd64.tar.gz";

describe.each(["s3", "gs"] as const)("releases in a bucket of %s://", (scheme) => {
  test("from an empty host to the next version, reported, and back when it is deleted", async () => {
    await using cloud = await bucketServers[scheme]();
    await using host = new TestHost();
    const publish = async (tag: string) =>
      cloud.upload(`app/${tag}/${artifact}`, await Bun.file(host.archive(tag)).bytes());
    await publish("v1.0.0");
    const flags = ["--root", host.root, "--registry", cloud.url("app"), "--interval", "1s"];
    const agent = host.start(
      ["server", ...flags, "--min-uptime", "200ms", "--port", `${host.port}`, "--", ...demoCommand],
      { ...cloud.env() },
    );
    await host.serves("v1.0.0");
    await publish("v1.1.0");
    await host.serves("v1.1.0");
    const report = await until("the report", async () =>
      (await cloud.keys("app/v1.1.0/")).find((key) => key.includes("shipped_to_")),
    );
    expect(report).toMatch(/^app\/v1\.1\.0\/shipped_to_.+_server_at_\d{8}T\d{6}\.\d{9}Z\.txt$/);
    expect(JSON.parse(await cloud.text(report))).toMatchObject({ from: "v1.0.0", result: "deployed" });
    await cloud.remove(`app/v1.1.0/${artifact}`);
    await host.serves("v1.0.0");
    expect(await agent.stop()).toBe(0);
    expect(agent.errors()).toEqual([]);
    expect(agent.output).not.toContain("planted-minio-secret");
  }, 180_000);
});
