import { describe, expect, test } from "bun:test";
import { DewyError } from "../../src/errors.ts";
import { anyEnv, openAt, parse } from "./s3-fixture.ts";

describe("an S3 URL", () => {
  test.each<[string, Partial<ReturnType<typeof parse>>]>([
    [
      "s3://eu-central-1/releases/team/app",
      {
        url: "s3://eu-central-1/releases/team/app",
        region: "eu-central-1",
        bucket: "releases",
        prefix: "team/app",
        endpoint: null,
        pathStyle: null,
      },
    ],
    ["s3://eu-central-1/releases", { url: "s3://eu-central-1/releases", prefix: "" }],
    ["s3://eu-central-1/releases/app/", { url: "s3://eu-central-1/releases/app", prefix: "app" }],
    [
      "s3://eu-central-1/releases/my%20app/100%25",
      { prefix: "my app/100%", url: "s3://eu-central-1/releases/my%20app/100%25" },
    ],
    ["s3://eu-central-1/a.b-c.d/x", { bucket: "a.b-c.d" }],
    [
      "s3://eu-west-1/releases?region=us-gov-east-1",
      { region: "us-gov-east-1", url: "s3://us-gov-east-1/releases" },
    ],
    ["s3:///releases?region=eu-west-1", { region: "eu-west-1", bucket: "releases" }],
    ["s3://x/releases?endpoint=http://127.0.0.1:9000", { endpoint: "http://127.0.0.1:9000" }],
    ["s3://x/releases?endpoint=https://s3.example.com/gate/", { endpoint: "https://s3.example.com/gate" }],
    [
      "s3://x/releases?endpoint=http://[::1]:9000&path-style=false",
      { endpoint: "http://[::1]:9000", pathStyle: false },
    ],
    ["s3://x/releases?path-style=true", { pathStyle: true, endpoint: null }],
  ])("%s is understood", (text, options) => {
    expect(parse(text)).toMatchObject(options);
  });

  test.each<[string, RegExp, RegExp]>([
    ["s3://eu-central-1", /names no bucket/, /s3:\/\/region\/bucket/],
    ["s3://eu-central-1/", /names no bucket/, /the region first/],
    ["s3:///releases/app", /names no region/, /s3:\/\/eu-central-1\/bucket/],
    ["s3://127.0.0.1:9000/releases", /region "127.0.0.1:9000" can be none/, /\?endpoint=https/],
    ["s3://my.bucket/app", /region "my.bucket" can be none/, /s3:\/\/region\/bucket\/prefix/],
    ["s3://eu-central-1/Releases", /bucket "Releases" can be none/, /3 to 63/],
    ["s3://eu-central-1/ab", /bucket "ab" can be none/, /3 to 63/],
    ["s3://eu-central-1/a..b", /can be none/, /3 to 63/],
    ["s3://eu-central-1/my_bucket", /can be none/, /3 to 63/],
    ["s3://eu-central-1/10.0.0.1", /can be none/, /3 to 63/],
    ["s3://eu-central-1/releases/a//b", /an empty part/, /region\/bucket\/prefix/],
    ["s3://eu-central-1/releases/a%2F..%2Fb", /an empty part/, /region\/bucket\/prefix/],
    ["s3://eu-central-1/releases/a#b?endpoint=http://127.0.0.1:9", /has a #/, /%23/],
    ["s3://eu-central-1/releases/%zz", /wrong escape/, /%25/],
    ["s3://AKIAKEY:hunter2@eu-central-1/releases", /holds credentials/, /AWS_SECRET_ACCESS_KEY/],
    [
      "s3://eu-central-1/releases?endpoint=127.0.0.1:9000",
      /"endpoint" is no address; write https/,
      /known parameters/,
    ],
    ["s3://eu-central-1/releases?endpoint=ftp://host", /"endpoint" is no address/, /known parameters/],
    ["s3://eu-central-1/releases?endpoint=", /"endpoint" is empty/, /known parameters/],
    ["s3://eu-central-1/releases?endpoint=https://u:hunter2@host", /"endpoint" holds credentials/, /known/],
    ["s3://eu-central-1/releases?endpoint=https://host/?x=1", /"endpoint" has a query/, /known/],
    ["s3://eu-central-1/releases?region=eu/west", /"region" is "eu\/west"/, /known/],
    ["s3://eu-central-1/releases?path-style=maybe", /"path-style" is "maybe"/, /known/],
    ["s3://eu-central-1/releases?profile=x", /unknown parameter "profile"/, /endpoint, region, path-style/],
  ])("%s is refused", (text, message, hint) => {
    const error = refusal(() => parse(text));
    expect(error.code).toBe("config-invalid");
    expect(error.message).toMatch(message);
    expect(error.hint).toMatch(hint);
    expect(`${error.message} ${error.hint}`).not.toContain("hunter2");
  });
});

describe("the environment", () => {
  test.each<[Record<string, string>, RegExp]>([
    [{ AWS_ENDPOINT_URL_S3: "localhost:9000" }, /AWS_ENDPOINT_URL_S3 is no address/],
    [{ AWS_ENDPOINT_URL: "https://u:hunter2@host" }, /AWS_ENDPOINT_URL holds credentials/],
    [{ AWS_CA_BUNDLE: "/nowhere/ca.pem" }, /AWS_CA_BUNDLE cannot be read/],
  ])("%j is a clear error at once", (env, message) => {
    const error = refusal(() => openAt("s3://eu-central-1/releases", { ...anyEnv, ...env }));
    expect(error.code).toBe("config-invalid");
    expect(error.message).toMatch(message);
    expect(error.message).not.toContain("hunter2");
  });
});

test("reading a URL does not load the AWS library", async () => {
  const program = `
    await import("./src/store/s3/url.ts");
    const loaded = Object.keys(require.cache).filter((path) => path.includes("node_modules"));
    console.log(JSON.stringify(loaded));`;
  const child = Bun.spawn([process.execPath, "-e", program], { stdio: ["ignore", "pipe", "inherit"] });
  expect(await new Response(child.stdout).json()).toEqual([]);
});

function refusal(work: () => unknown): DewyError {
  try {
    work();
  } catch (error) {
    if (error instanceof DewyError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}
