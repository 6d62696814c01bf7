"""When is there no answer, and who decides it?"""
