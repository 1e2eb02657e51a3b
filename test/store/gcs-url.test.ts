import { describe, expect, test } from "bun:test";
import { gcsEndpoint } from "../../src/store/gcs/endpoint.ts";
import { gcsParams, readGcsUrl } from "../../src/store/gcs/url.ts";
import { readQuery, text } from "../../src/util/query.ts";

function parse(address: string) {
  const url = new URL(address);
  return readGcsUrl(url, readQuery(url, gcsParams));
}

describe("a gs:// URL", () => {
  test.each([
    ["gs://bucket", { bucket: "bucket", prefix: "", endpoint: null, anonymous: false }],
    ["gs://bucket/", { bucket: "bucket", prefix: "" }],
    ["gs://my_bucket.example.com/a/b/", { bucket: "my_bucket.example.com", prefix: "a/b" }],
    ["gs://bucket/with%20space/%C3%BC", { prefix: "with space/ü" }],
    ["gs://bucket/a?endpoint=http://127.0.0.1:4443", { endpoint: "http://127.0.0.1:4443" }],
    ["gs://bucket/a?endpoint=https://storage.example/", { endpoint: "https://storage.example" }],
    ["gs://bucket/a?anonymous=true", { anonymous: true }],
  ])("%s", (address, wanted) => {
    expect(parse(address)).toMatchObject(wanted);
  });

  test.each([
    ["gs:///prefix", "names no bucket"],
    ["gs://", "names no bucket"],
    ["gs://user:s3cret@bucket/a", "holds credentials"],
    ["gs://s3cret@bucket/a", "holds credentials"],
    ["gs://bucket:80/a", "port"],
    ["gs://bucket/a#b", "fragment"],
    ["gs://Bucket/a", "a-z"],
    ["gs://-bucket/a", "begins and ends"],
    ["gs://bu/a", "3 to 63"],
    [`gs://${"b".repeat(64)}/a`, "3 to 63"],
    ["gs://10.0.0.1/a", "IP address"],
    ["gs://bu..cket/a", "two dots"],
    ["gs://bucket/a//b", "empty part"],
    ["gs://bucket/a%2F..%2Fb", '".."'],
    ["gs://bucket/%ff", "not well encoded"],
    ["gs://bucket/a?endpoint=storage.example", "no HTTP address"],
    ["gs://bucket/a?endpoint=ftp://storage.example", "no HTTP address"],
    ["gs://bucket/a?endpoint=https://user:s3cret@storage.example", "holds credentials"],
    ["gs://bucket/a?endpoint=https://storage.example/path", "write https://storage.example"],
    ["gs://bucket/a?anonymous=maybe", "true or false"],
    ["gs://bucket/a?region=eu", "unknown parameter"],
  ])("%s is refused with a hint and without its secrets", (address, why) => {
    const read = () => parse(address);
    expect(read).toThrow(why);
    try {
      read();
    } catch (error) {
      expect(error).toMatchObject({ code: "config-invalid", hint: expect.stringMatching(/\S/) });
      expect(`${error} ${Reflect.get(Object(error), "hint")}`).not.toContain("s3cret");
    }
  });

  test("its parameters stand beside those of a registry", () => {
    const url = new URL("gs://bucket/a?endpoint=http://h:1&artifact=app.zip");
    const query = readQuery(url, { ...gcsParams, artifact: text });
    expect(readGcsUrl(url, query).endpoint).toBe("http://h:1");
    expect(query.artifact).toBe("app.zip");
  });
});

describe("the endpoint", () => {
  test.each([
    ["gs://bucket", {}, "https://storage.googleapis.com", true],
    ["gs://bucket?anonymous=true", {}, "https://storage.googleapis.com", false],
    ["gs://bucket", { STORAGE_EMULATOR_HOST: "127.0.0.1:4443" }, "http://127.0.0.1:4443", false],
    ["gs://bucket", { STORAGE_EMULATOR_HOST: "https://emulator:1/\n" }, "https://emulator:1", false],
    ["gs://bucket", { STORAGE_EMULATOR_HOST: "" }, "https://storage.googleapis.com", true],
    ["gs://bucket?endpoint=http://h:1", { STORAGE_EMULATOR_HOST: "e:2" }, "http://h:1", false],
    ["gs://bucket?endpoint=https://storage.example", {}, "https://storage.example", false],
    [
      "gs://bucket?endpoint=https://storage-x.p.googleapis.com",
      {},
      "https://storage-x.p.googleapis.com",
      true,
    ],
    ["gs://bucket?endpoint=http://storage.googleapis.com", {}, "http://storage.googleapis.com", false],
    [
      "gs://bucket?endpoint=https://storage.googleapis.com:8443",
      {},
      "https://storage.googleapis.com:8443",
      false,
    ],
    ["gs://bucket?endpoint=https://evilgoogleapis.com", {}, "https://evilgoogleapis.com", false],
    ["gs://bucket?endpoint=https://googleapis.com.evil", {}, "https://googleapis.com.evil", false],
  ])("of %s with %o is %s, credentials: %p", (address, env, origin, authenticated) => {
    expect(gcsEndpoint(parse(address), env)).toEqual({ origin, authenticated });
  });

  test.each(["http://", "ftp://h", "http://h/path", "a b"])("STORAGE_EMULATOR_HOST=%s is refused", (host) => {
    expect(() => gcsEndpoint(parse("gs://bucket"), { STORAGE_EMULATOR_HOST: host })).toThrow(
      "STORAGE_EMULATOR_HOST",
    );
  });
});

test("reading a URL loads nothing of Google's library", async () => {
  const script = `
    await import("${import.meta.dir}/../../src/store/gcs/url.ts");
    await import("${import.meta.dir}/../../src/store/gcs/store.ts");
    console.log(Object.keys(require.cache).filter((path) => path.includes("@google-cloud")).length);
    await import("@google-cloud/storage");
    console.log(Object.keys(require.cache).filter((path) => path.includes("@google-cloud")).length > 0);`;
  const child = Bun.spawn(["bun", "-e", script], { stdout: "pipe", stderr: "inherit" });
  expect((await child.stdout.text()).trim().split("\n")).toEqual(["0", "true"]);
});
