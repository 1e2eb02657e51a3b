import { describe, expect, test } from "bun:test";
import { proxyFor } from "../../src/registry/grpc/proxy.ts";

const proxy = { host: "proxy.example", port: 3128, authorization: null };

function choose(host: string, env: Record<string, string>, port = 443) {
  return proxyFor({ host, port }, env);
}

describe("the proxy for a gRPC registry", () => {
  test.each<[string, Record<string, string>, unknown]>([
    ["none named", {}, null],
    ["HTTPS_PROXY", { HTTPS_PROXY: "http://proxy.example:3128" }, proxy],
    ["in lower case", { https_proxy: "http://proxy.example:3128" }, proxy],
    ["upper case first", { HTTPS_PROXY: "http://proxy.example:3128", https_proxy: "http://x" }, proxy],
    ["without a scheme", { HTTPS_PROXY: "proxy.example:3128" }, proxy],
    ["without a port", { HTTPS_PROXY: "http://proxy.example" }, { ...proxy, port: 80 }],
    ["an address", { HTTPS_PROXY: "http://[::1]:3128/" }, { ...proxy, host: "::1" }],
    [
      "with credentials",
      { HTTPS_PROXY: "http://us%40er:pa%3Ass@proxy.example:3128" },
      { ...proxy, authorization: `Basic ${btoa("us@er:pa:ss")}` },
    ],
    ["HTTP_PROXY is for other requests", { HTTP_PROXY: "http://proxy.example:3128" }, null],
    ["empty", { HTTPS_PROXY: "" }, null],
  ])("%s", (_, env, expected) => {
    expect(choose("reg.example", env)).toEqual(expected as never);
  });

  test.each([
    ["https://user:secret@proxy.example"],
    ["socks5://user:secret@proxy.example:1080"],
    ["http://user:secret@:x"],
    ["http://us%zz:secret@proxy.example"],
  ])("%s is refused without its credentials", (value) => {
    const attempt = () => choose("reg.example", { HTTPS_PROXY: value });
    expect(attempt).toThrow(expect.objectContaining({ code: "config-invalid" }));
    expect(attempt).not.toThrow("secret");
  });

  test.each<[string, string, boolean]>([
    ["*", "reg.example", true],
    ["reg.example", "reg.example", true],
    ["REG.example", "reg.EXAMPLE.", true],
    ["example", "reg.example", true],
    [".example", "reg.example", true],
    ["*.example", "reg.example", true],
    [".reg.example", "reg.example", false],
    ["eg.example", "reg.example", false],
    ["other.example, reg.example", "reg.example", true],
    [",,", "reg.example", false],
    ["reg.example:443", "reg.example", true],
    ["reg.example:444", "reg.example", false],
    ["10.1.2.3", "10.1.2.3", true],
    ["10.1.2.3", "10.1.2.4", false],
    ["10.1.0.0/16", "10.1.2.3", true],
    ["10.1.0.0/16", "10.2.2.3", false],
    ["10.1.2.0/23", "10.1.3.9", true],
    ["10.1.2.0/23", "10.1.4.9", false],
    ["10.1.0.0/33", "10.1.0.0", false],
    ["10.1.0.0/16", "reg.example", false],
    ["2001:db8::/32", "2001:db8::7", true],
    ["2001:db8::/32", "2001:db9::7", false],
    ["[2001:db8::7]:443", "2001:db8:0::7", true],
    ["2001:db8::7", "2001:db8:0::7", true],
  ])("NO_PROXY=%s and %s: exempt %p", (exempt, host, isExempt) => {
    for (const name of ["NO_PROXY", "no_proxy"]) {
      const env = { HTTPS_PROXY: "http://proxy.example:3128", [name]: exempt };
      expect(choose(host, env) === null).toBe(isExempt);
    }
  });

  test.each([
    ["localhost", true],
    ["127.0.0.9", true],
    ["::1", true],
    ["127.example", false],
    ["128.0.0.1", false],
    ["::2", false],
  ])("%s needs no exemption: %p", (host, isExempt) => {
    expect(choose(host, { HTTPS_PROXY: "http://proxy.example:3128" }) === null).toBe(isExempt);
  });
});
