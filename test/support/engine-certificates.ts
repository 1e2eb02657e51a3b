import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Paths as `DOCKER_CERT_PATH` wants them: ca.pem, cert.pem, key.pem in one directory. */
export interface Certificates {
  readonly directory: string;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** An authority of its own with one certificate each for a server on 127.0.0.1 and for a client, by openssl. */
export function makeCertificates(at: string): {
  readonly server: Certificates;
  readonly client: Certificates;
} {
  mkdirSync(at, { recursive: true });
  const caKey = join(at, "ca-key.pem");
  const ca = join(at, "ca.pem");
  openssl(
    "req",
    "-x509",
    ...newKey,
    "-keyout",
    caKey,
    "-out",
    ca,
    "-days",
    "2",
    "-subj",
    "/CN=test authority",
  );
  const issue = (name: string, extensions: string): Certificates => {
    const directory = join(at, name);
    mkdirSync(directory);
    const paths = {
      ca: join(directory, "ca.pem"),
      cert: join(directory, "cert.pem"),
      key: join(directory, "key.pem"),
    };
    const request = join(directory, "request.pem");
    const extensionFile = join(directory, "extensions");
    writeFileSync(extensionFile, extensions);
    writeFileSync(paths.ca, Bun.spawnSync(["cat", ca]).stdout);
    openssl("req", ...newKey, "-keyout", paths.key, "-out", request, "-subj", `/CN=${name}`);
    const signed = ["-CA", ca, "-CAkey", caKey, "-CAcreateserial", "-days", "2", "-extfile", extensionFile];
    openssl("x509", "-req", "-in", request, "-out", paths.cert, ...signed);
    return { directory, ...paths };
  };
  return {
    server: issue("server", "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth"),
    client: issue("client", "extendedKeyUsage=clientAuth"),
  };
}

const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

function openssl(...args: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(["openssl", ...args]);
  if (exitCode !== 0) throw new Error(`openssl ${args[0]}: ${stderr}`);
}
