// PostgreSQL on a free port; `--tls` shows a certificate of an authority of its own.
//
//   node postgres.mjs [--tls] [--stay]
import { options, ready } from "./common.mjs";
import { startPostgres } from "./database.mjs";

const option = options();
ready(await startPostgres(option), option);
