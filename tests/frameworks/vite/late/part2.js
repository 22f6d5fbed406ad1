export default `2 of ${VERSION}`;
