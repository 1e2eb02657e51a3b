import { describe, expect, test } from "bun:test";
import { type GrpcOptions, parseGrpcUrl } from "../../src/registry/grpc/url.ts";

const none = { slot: null, calver: null };
const tls = { caFile: null, serverName: null };

function parse(url: string, host: { slot: string | null; calver: string | null } = none): GrpcOptions {
  return parseGrpcUrl(new URL(url), host);
}

describe("a grpc:// URL", () => {
  test.each<[string, Partial<GrpcOptions>]>([
    ["grpc://reg.example", { host: "reg.example", port: 443, tls, artifact: null }],
    ["grpc://reg.example/", { host: "reg.example", port: 443 }],
    ["grpc://reg.example:443", { port: 443 }],
    ["grpc://reg.example:9000?artifact=app.zip", { port: 9000, artifact: "app.zip" }],
    ["grpc://reg.example:9000?no-tls=true", { port: 9000, tls: null }],
    ["grpc://reg.example?no-tls=false", { tls }],
    ["grpc://10.0.0.1:50051?no-tls=1", { host: "10.0.0.1", port: 50051, tls: null }],
    ["grpc://[::1]:50051?no-tls=true", { host: "::1", port: 50051 }],
    ["grpc://[2001:db8::1]", { host: "2001:db8::1", port: 443 }],
    ["grpc://registry_1:80?no-tls=true", { host: "registry_1", port: 80 }],
    [
      "grpc://r?ca=/etc/ca.pem&server-name=x.example",
      { tls: { caFile: "/etc/ca.pem", serverName: "x.example" } },
    ],
  ])("%s", (url, expected) => {
    expect(parse(url)).toMatchObject(expected);
  });

  test.each<[string, RegExp]>([
    ["grpc:///", /does not name a gRPC server/],
    ["grpc://reg.example/path", /does not name a gRPC server/],
    ["grpc://user:secret@reg.example", /does not name a gRPC server/],
    ["grpc://reg.example#x", /does not name a gRPC server/],
    ["grpc://a%20b:1", /does not name a gRPC server/],
    ["grpc://-x:1", /does not name a gRPC server/],
    ["grpc://reg.example:0", /0 is no port/],
    ["grpc://reg.example?no-tls=true", /no usual port/],
    ["grpc://reg.example?no-tls=yes", /write true or false/],
    ["grpc://r:1?no-tls=true&ca=/ca.pem", /excludes/],
    ["grpc://r:1?no-tls=true&server-name=x", /excludes/],
    ["grpc://r:1?insecure=true", /unknown parameter "insecure"/],
    ["grpc://r:1?artifact=a&artifact=b", /more than once/],
    ["grpc://r:1?ca=", /"ca" is empty/],
    ["grpc://r:1?pre-release=true", /^pre-release=: a gRPC registry chooses/],
    ["grpc://r:1?constraint=~1.4&calver=YYYY.MM", /^constraint=, calver=: a gRPC registry chooses/],
  ])("%s is refused", (url, message) => {
    expect(() => parse(url)).toThrow(message);
    expect(() => parse(url)).toThrow(expect.objectContaining({ code: "config-invalid" }));
    expect(() => parse(url)).not.toThrow("secret");
  });

  test.each([
    [{ slot: "blue", calver: null }, /^--slot: a gRPC registry chooses/],
    [{ slot: null, calver: "YYYY.MM" }, /^--calver: a gRPC registry chooses/],
  ])("goes with none of %j", (host, message) => {
    expect(() => parse("grpc://r:1", host)).toThrow(message);
  });
});
