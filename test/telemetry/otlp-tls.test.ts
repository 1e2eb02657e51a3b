import { afterAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeAuthority } from "../support/authority.ts";
import { down, exporting, received } from "../support/otlp-exporter.ts";
import { OtlpReceiver } from "../support/otlp-receiver.ts";
import { tempDir } from "../support/temp-dir.ts";

const scratch = tempDir();
const authority = makeAuthority(scratch.path);
afterAll(() => scratch[Symbol.dispose]());

describe("TLS", () => {
  const trusting = { SSL_CERT_FILE: authority.ca };

  test.each(["OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE"])(
    "takes a collector with an authority of %s",
    async (variable) => {
      await using collector = await OtlpReceiver.start({ tls: authority.issue("IP:127.0.0.1", 2) });
      await using telemetry = await exporting(collector.port, {
        tls: true,
        env: { [variable]: authority.ca },
      });
      await received(collector);
      expect(telemetry.log.at("warn")).toEqual([]);
    },
  );

  test("trusts nobody else where OTEL_EXPORTER_OTLP_CERTIFICATE names one", async () => {
    using dir = tempDir();
    const other = makeAuthority(dir.path);
    await using collector = await OtlpReceiver.start({ tls: authority.issue("IP:127.0.0.1", 2) });
    const env = { ...trusting, OTEL_EXPORTER_OTLP_CERTIFICATE: other.ca };
    await using telemetry = await exporting(collector.port, { tls: true, env });
    await telemetry.logged(down);
    expect(telemetry.warning()?.["hint"]).toContain("OTEL_EXPORTER_OTLP_CERTIFICATE");
    expect(collector.calls).toBe(0);
  });

  test.each([
    ["that is not there", null, /can't be read/],
    ["without a certificate", "hello", /holds no certificate/],
    [
      "with half a certificate",
      "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
      /holds a damaged certificate/,
    ],
  ])("refuses a file of authorities %s at the start", async (_, content, why) => {
    using dir = tempDir();
    const path = join(dir.path, "ca.pem");
    if (content !== null) writeFileSync(path, content);
    const starting = exporting(1, { tls: true, env: { OTEL_EXPORTER_OTLP_CERTIFICATE: path } });
    await expect(starting).rejects.toMatchObject({ code: "config-invalid" });
    await expect(starting).rejects.toThrow(why);
    await expect(starting).rejects.toThrow(/OTEL_EXPORTER_OTLP_CERTIFICATE/);
  });

  test.each<[string, string, string]>([
    ["by its address", "IP:127.0.0.1", "127.0.0.1"],
    ["by its name", "DNS:localhost", "localhost"],
  ])("takes a collector %s with an authority of SSL_CERT_FILE", async (_, names, host) => {
    await using collector = await OtlpReceiver.start({ tls: authority.issue(names, 2) });
    await using telemetry = await exporting(collector.port, { host, tls: true, env: trusting });
    await received(collector);
    expect(telemetry.log.at("warn")).toEqual([]);
  });

  test.each<[string, string, number, Readonly<Record<string, string>>, RegExp]>([
    ["of an authority nobody knows", "IP:127.0.0.1", 2, {}, /UNABLE_TO|SELF_SIGNED|CERT/],
    ["of another host", "IP:127.0.0.2", 2, trusting, /ALTNAME/],
    ["that has expired", "IP:127.0.0.1", -1, trusting, /EXPIRED/],
  ])("refuses a certificate %s, and says why", async (_, names, days, env, reason) => {
    await using collector = await OtlpReceiver.start({ tls: authority.issue(names, days) });
    await using telemetry = await exporting(collector.port, { tls: true, env });
    await telemetry.logged(down);
    expect(`${telemetry.warning()?.["error"]}`).toMatch(reason);
    expect(telemetry.warning()?.["hint"]).toMatch(/SSL_CERT_FILE/);
    expect(collector.calls).toBe(0);
  });

  test("is thought of where it was renounced and the collector speaks it", async () => {
    await using collector = await OtlpReceiver.start({ tls: authority.issue("IP:127.0.0.1", 2) });
    await using telemetry = await exporting(collector.port, { tls: false });
    await telemetry.logged(down);
    expect(telemetry.warning()?.["hint"]).toMatch(/leave --otlp-insecure out/);
    expect(collector.calls).toBe(0);
  });

  test("is asked for unless it was renounced: a plain collector gets nothing", async () => {
    await using collector = await OtlpReceiver.start();
    await using telemetry = await exporting(collector.port, { tls: true });
    await telemetry.logged(down);
    expect(telemetry.warning()?.["hint"]).toMatch(/--otlp-insecure/);
    expect(collector.calls).toBe(0);
  });
});
