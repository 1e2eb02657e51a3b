import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeAuthority } from "./authority.ts";

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
  const authority = makeAuthority(at);
  const issue = (name: string, extensions: string): Certificates => {
    const directory = join(at, name);
    mkdirSync(directory);
    const paths = {
      ca: join(directory, "ca.pem"),
      cert: join(directory, "cert.pem"),
      key: join(directory, "key.pem"),
    };
    const { cert, key } = authority.sign(extensions, 2);
    copyFileSync(authority.ca, paths.ca);
    writeFileSync(paths.cert, cert);
    writeFileSync(paths.key, key, { mode: 0o600 });
    return { directory, ...paths };
  };
  return {
    server: issue("server", "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth"),
    client: issue("client", "extendedKeyUsage=clientAuth"),
  };
}
