import { describe, expect, test } from "bun:test";
import { DewyError } from "../../src/errors.ts";
import { readExportSettings } from "../../src/telemetry/environment.ts";

describe("OpenTelemetry's variables", () => {
  test("say nothing where they are not set", () => {
    const usual = { resource: {}, headers: {}, intervalMs: 15_000, timeoutMs: 10_000, certificate: null };
    expect(readExportSettings({})).toEqual(usual);
    const empty = { OTEL_RESOURCE_ATTRIBUTES: "", OTEL_SERVICE_NAME: "", OTEL_METRIC_EXPORT_INTERVAL: "" };
    expect(readExportSettings(empty)).toEqual(usual);
  });

  test("are read as their specification says", () => {
    const settings = readExportSettings({
      OTEL_RESOURCE_ATTRIBUTES: "deployment.environment=prod, team=a%2Cb ,service.name=other",
      OTEL_SERVICE_NAME: "shop",
      OTEL_EXPORTER_OTLP_HEADERS: "Authorization=Bearer%20abc=,x-tenant=1",
      OTEL_EXPORTER_OTLP_METRICS_HEADERS: "x-tenant=2",
      OTEL_METRIC_EXPORT_INTERVAL: "60000",
      OTEL_EXPORTER_OTLP_TIMEOUT: "20000",
      OTEL_EXPORTER_OTLP_METRICS_TIMEOUT: "5000",
      OTEL_EXPORTER_OTLP_CERTIFICATE: "/etc/ca.pem",
    });
    expect(settings).toEqual({
      resource: { "deployment.environment": "prod", team: "a,b", "service.name": "shop" },
      headers: { authorization: "Bearer abc=", "x-tenant": "2" },
      intervalMs: 60_000,
      timeoutMs: 5000,
      certificate: { variable: "OTEL_EXPORTER_OTLP_CERTIFICATE", path: "/etc/ca.pem" },
    });
  });

  test.each<[string, string, RegExp]>([
    ["OTEL_EXPORTER_OTLP_HEADERS", "secret-token", /part 1 is not key=value/],
    ["OTEL_EXPORTER_OTLP_HEADERS", "a=1,=secret", /part 2 is not key=value/],
    ["OTEL_EXPORTER_OTLP_HEADERS", "a=%zzsecret", /part 1 is badly percent-encoded/],
    ["OTEL_EXPORTER_OTLP_HEADERS", "a b=secret", /part 1 is no header/],
    ["OTEL_EXPORTER_OTLP_HEADERS", "grpc-timeout=secret", /part 1 is no header/],
    ["OTEL_EXPORTER_OTLP_HEADERS", "a=secret%0Abc", /part 1 is no header/],
    ["OTEL_EXPORTER_OTLP_METRICS_HEADERS", "x-bin=secret", /part 1 is no header/],
    ["OTEL_RESOURCE_ATTRIBUTES", "a=1,secret", /part 2 is not key=value/],
    ["OTEL_METRIC_EXPORT_INTERVAL", "15s", /milliseconds/],
    ["OTEL_METRIC_EXPORT_INTERVAL", "0", /milliseconds/],
    ["OTEL_EXPORTER_OTLP_TIMEOUT", "10s", /milliseconds/],
    ["OTEL_METRIC_EXPORT_INTERVAL", "99999999999", /milliseconds/],
  ])("%s=%s is refused, without its value", (name, value, reason) => {
    const read = () => readExportSettings({ [name]: value });
    expect(read).toThrow(reason);
    try {
      read();
    } catch (error) {
      expect(error).toBeInstanceOf(DewyError);
      expect(String(error)).not.toContain("secret");
      expect(error).toMatchObject({ code: "config-invalid", hint: expect.any(String) });
    }
  });
});
