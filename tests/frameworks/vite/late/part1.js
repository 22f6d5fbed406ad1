export default `1 of ${VERSION}`;
