export default `3 of ${VERSION}`;
